"""A call's facts, written the way the session publishes them."""

import pytest
from ringback_memory.domain import events as ev
from ringback_memory.domain.events import Event, Position
from ringback_memory.domain.schema import ToolOutline, schema_of_tools
from ringback_memory.domain.timeline import Record, Timeline

CANCEL_ARGUMENTS = '{"reservation_id":"482915"}'


class Script:
    """Numbers the facts of one call; a second passes between them."""

    def __init__(self, *, epoch=1):
        self.epoch = epoch
        self.seq = 0
        self.now_ms = 1_000_000
        self.events = []

    def add(self, body, *, agent="front"):
        self.seq += 1
        self.now_ms += 1_000
        event = Event(Position(self.epoch, self.seq), self.now_ms, body, agent=agent, size_bytes=300)
        self.events.append(event)
        return event

    def started(self, **more):
        return self.add(ev.Started("airline", "sha256:pack", "sha256:bundle", "caller-1", **more))

    def caller(self, text, *, confidence=0.95, **more):
        item = f"item_c{self.seq + 1}"
        return self.add(ev.CallerSpoke(item, text, confidence, audio_ms=1_500, **more))

    def agent(self, said, *, heard=None, kind="reply"):
        heard = said if heard is None else heard
        item = f"item_a{self.seq + 1}"
        return self.add(ev.AgentSpoke(item, said, heard, audio_ms=2_000, heard_ms=2_000, kind=kind))

    def requested(
        self, action_id="act_1", *, tool="cancel_reservation", arguments=CANCEL_ARGUMENTS, call_id="call_1"
    ):
        return self.add(ev.ActionRequested(action_id, call_id, tool, arguments, "irreversible"))

    def decided(self, effect, *, action_id="act_1", tool="cancel_reservation"):
        decision = f"dec_{self.seq + 1}"
        return self.add(ev.ActionDecided(decision, "ACTION", action_id, tool, effect, "refundable", "domain"))

    def finished(
        self, status="ok", *, action_id="act_1", tool="cancel_reservation", result='{"status":"cancelled"}'
    ):
        return self.add(ev.ActionFinished(action_id, tool, status, result, message="It is cancelled."))

    def spine(self):
        """The call of the airline pack: asked, read back, questioned, confirmed, done, handed over."""
        self.started()
        self.agent("Hello, how can I help you?")
        self.caller("I'd like to cancel my reservation, please.")
        self.agent("Sure. What is the reservation id?")
        self.caller("It's four eight two nine one five.")
        self.add(ev.ActionRequested("act_read", "call_0", "get_reservation", CANCEL_ARGUMENTS, "read"))
        self.decided("ALLOW", action_id="act_read", tool="get_reservation")
        self.finished(
            action_id="act_read", tool="get_reservation", result='{"reservation_id":"482915","amount":310.5}'
        )
        self.add(
            ev.FactsFetched("reservation", "get_reservation", CANCEL_ARGUMENTS, '{"refundable":true}', 30_000)
        )
        self.requested()
        self.decided("CONFIRM")
        self.add(ev.ConsentAsked("con_1", "act_1", "Cancel reservation 482915?", 2_000_000_000))
        self.agent("Shall I cancel reservation 4 8 2 9 1 5?", kind="read_back")
        self.caller("Hold on, which card does it go to?")
        self.add(ev.ConsentAnswered("con_1", "act_1", "unclear", "Hold on, which card does it go to?"))
        self.agent("To the card you paid with. Shall I cancel reservation 4 8 2 9 1 5?", kind="read_back")
        self.caller("Yes.")
        self.add(ev.ConsentAnswered("con_1", "act_1", "yes", "Yes."))
        self.decided("ALLOW")
        self.add(ev.ActionProgressed("act_1", "started"))
        self.finished()
        self.agent("Done. I will send you an e-mail about the refund.")
        self.add(ev.TaskOpened("task_1", "Send the refund e-mail", "promise", "agent", "", "act_1"))
        return self.events


def fold(events, *, schema=None):
    """The timeline after `events`."""
    timeline = Timeline(Record(), **({"schema": schema} if schema else {}))
    for event in events:
        timeline.add(event)
    return timeline


@pytest.fixture
def script():
    return Script()


@pytest.fixture(scope="session")
def new_script():
    return Script


@pytest.fixture(scope="session")
def folded():
    return fold


@pytest.fixture(scope="session")
def airline_schema():
    reservation = {"type": "string", "pattern": "^[0-9]{6}$", "description": "The six-digit reservation id."}
    cabin = {"enum": ["basic_economy", "economy", "business"], "description": "Cabin class."}
    return schema_of_tools(
        [
            ToolOutline("get_reservation", "Look it up.", {"properties": {"reservation_id": reservation}}),
            ToolOutline("cancel_reservation", "Cancel it.", {"properties": {"reservation_id": reservation}}),
            ToolOutline("change_cabin", "Change it.", {"properties": {"cabin": cabin}}),
        ]
    )
