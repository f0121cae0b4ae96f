"""The outside world behind the ports: gRPC, NATS, sockets, files, OpenTelemetry."""
