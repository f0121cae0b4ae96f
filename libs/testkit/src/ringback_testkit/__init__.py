"""What tests need: NATS on a free port, a fake clock, services as processes. Never imported by a service."""

from ringback_testkit.clock import FakeClock, FakeTimer
from ringback_testkit.nats_server import NatsServer
from ringback_testkit.ports import free_port
from ringback_testkit.service_process import ServiceProcess

__all__ = ["FakeClock", "FakeTimer", "NatsServer", "ServiceProcess", "free_port"]
