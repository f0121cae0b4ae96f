"""Memory over calls: kept with consent, recalled within a budget, gone when due, forgotten to the last trace."""

import asyncio

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ringback.events.v1 import events_pb2 as ev_pb
from ringback.memory.v1 import memory_pb2 as pb
from ringback_errors import InvalidInput, NotFound
from ringback_events import MemoryBus, decisions_subject, event_subject, fact_subject, parked_subject
from ringback_memory.adapters.callers import KvCallerStore, caller_key
from ringback_memory.adapters.tokens import O200kTokens
from ringback_memory.bootstrap import build
from ringback_memory.domain import callers
from ringback_memory.domain.callers import CALLS_MAX, GIVEN, RECORD_BYTES_MAX, REFUSED, Caller
from ringback_memory.domain.context import build_context
from ringback_memory.domain.events import Position
from ringback_memory.domain.schema import EMPTY_SCHEMA
from ringback_memory.domain.state import Action, Slot, State, Task
from ringback_memory.settings import MemorySettings
from ringback_memory.usecases.callers import DAY_MS

CALLER = "+49 30 1234567"


class Now:
    """A clock that stands until it is set."""

    def __init__(self):
        self.ms = 1_800_000_000_000

    def now_ms(self):
        return self.ms

    def monotonic_ms(self):
        return self.ms

    async def wait(self, timeout_ms):
        await asyncio.sleep(0)
        self.ms += timeout_ms


class Line:
    """Calls of one caller over a bus in memory."""

    def __init__(self, bus, memory, clock):
        self.bus, self.memory, self.clock = bus, memory, clock
        self.service = memory.service
        self.seqs = {}

    def publish(self, session, kind, /, **fields):
        seq = self.seqs[session] = self.seqs.get(session, 0) + 1
        event = ev_pb.SessionEvent(schema_version=1, tenant="local", session_id=session, epoch=1, seq=seq)
        event.occurred_at.FromMilliseconds(self.clock.ms)
        getattr(event, kind).SetInParent()
        for name, value in fields.items():
            if name == "slots":
                event.slots_changed.slots.extend(ev_pb.SlotValue(**one) for one in value)
            else:
                setattr(getattr(event, kind), name, value)
        subject = event_subject("local", session, kind)
        self.bus.publish(subject, event.SerializeToString(), msg_id=f"{session}:1:{seq}")

    async def call(self, session, *, caller=CALLER, ended=True, task="Send the receipt"):
        self.publish(session, "session_started", caller_id=caller)
        self.publish(session, "user_turn_ended", item_id="c1", text="I always sit at the window. I am vegan.")
        note = {"name": "preference.seat", "value_json": '"window"', "source": "caller", "confidence": 0.9}
        self.publish(session, "slots_changed", slots=[note])
        self.publish(session, "action_requested", action_id=f"act_{session}", tool="pay", arguments_json="{}")
        self.publish(
            session, "action_finished", action_id=f"act_{session}", tool="pay", status=ev_pb.ACTION_STATUS_OK
        )
        if task:
            self.publish(session, "task_opened", task_id=f"task_{session}", title=task, kind="promise")
        if ended:
            self.publish(session, "session_ended", reason="client_closed")
        return await self.context(session)

    async def context(self, session, *, budget_tokens=500):
        return await self.service.GetContext(
            pb.GetContextRequest(
                tenant="local",
                session_id=session,
                budget_tokens=budget_tokens,
                min_epoch=1,
                min_seq=self.seqs[session],
            ),
            None,
        )

    async def consent(self, value=pb.CALLER_CONSENT_GIVEN):
        request = pb.SetCallerConsentRequest(
            tenant="local", caller_id=CALLER, consent=value, source="operator"
        )
        return (await self.service.SetCallerConsent(request, None)).record

    async def record(self):
        request = pb.GetCallerRequest(tenant="local", caller_id=CALLER)
        return (await self.service.GetCaller(request, None)).record

    async def forget(self, **fields):
        request = pb.ForgetCallerRequest(tenant="local", caller_id=CALLER, **fields)
        return await self.service.ForgetCaller(request, None)


@pytest.fixture
async def line():
    bus, clock = MemoryBus(), Now()
    memory = build(bus, settings=MemorySettings(), clock=clock)
    await memory.start()
    yield Line(bus, memory, clock)
    await memory.close()
    await bus.close()


async def test_without_consent_nothing_is_kept(line):
    await line.call("sess_1")
    with pytest.raises(NotFound):
        await line.record()
    assert await line.bus.bucket("callers").keys() == []


async def test_what_a_call_left_is_recalled_at_the_start_of_the_next(line):
    await line.consent()
    await line.call("sess_1")
    line.publish("sess_2", "session_started", caller_id=CALLER)
    answer = await line.context("sess_2")
    assert 'still open: "Send the receipt"' in answer.text
    assert 'prefers seat: "window"' in answer.text
    assert 'the caller said: "I am vegan."' in answer.text
    assert answer.caller.last_outcomes[0].tool == "pay"
    assert answer.tokens <= 500
    small = await line.context("sess_2", budget_tokens=40)
    assert small.tokens <= 40
    assert "caller" in small.left_out


async def test_a_call_that_was_folded_twice_is_kept_once(line):
    await line.consent()
    await line.call("sess_1")
    before = await line.record()
    line.publish("sess_1", "session_ended", reason="client_closed")
    await line.context("sess_1")
    after = await line.record()
    assert (after.calls, len(after.unresolved_tasks)) == (1, 1)
    assert sorted(p.value_json for p in after.preferences) == sorted(p.value_json for p in before.preferences)


async def test_an_earlier_calls_task_that_this_call_closed_is_owed_no_more(line):
    await line.consent()
    await line.call("sess_1")
    line.publish("sess_2", "session_started", caller_id=CALLER)
    line.publish("sess_2", "task_closed", task_id="task_sess_1", outcome="done")
    line.publish("sess_2", "session_ended", reason="client_closed")
    await line.context("sess_2")
    assert not (await line.record()).unresolved_tasks


async def test_a_caller_who_agrees_or_refuses_during_the_call_is_taken_at_their_word(line):
    line.publish("sess_1", "session_started", caller_id=CALLER)
    yes = {"name": callers.CONSENT_SLOT, "value_json": "true", "source": "caller"}
    line.publish("sess_1", "slots_changed", slots=[yes])
    line.publish("sess_1", "session_ended", reason="client_closed")
    await line.context("sess_1")
    record = await line.record()
    assert (record.consent, record.consent_source, record.calls) == (pb.CALLER_CONSENT_GIVEN, "sess_1", 1)
    line.clock.ms += 1_000
    line.publish("sess_2", "session_started", caller_id=CALLER)
    line.publish("sess_2", "slots_changed", slots=[{**yes, "value_json": "false"}])
    line.publish("sess_2", "session_ended", reason="client_closed")
    await line.context("sess_2")
    record = await line.record()
    assert (record.consent, record.calls, list(record.session_ids)) == (pb.CALLER_CONSENT_REFUSED, 0, [])


async def test_what_outlives_its_retention_is_neither_recalled_nor_kept(line):
    await line.consent()
    await line.call("sess_1")
    line.clock.ms += 91 * DAY_MS
    assert (await line.record()).calls == 0
    assert await line.memory.callers.sweep() == 1
    stored = await KvCallerStore(line.bus).load("local", CALLER)
    assert stored.caller.calls == ()
    assert await line.memory.callers.sweep() == 0


async def test_forgetting_removes_every_trace_and_leaves_other_callers_alone(line):
    await line.consent()
    await line.call("sess_1")
    await line.call("sess_2")
    await line.call("sess_other", caller="somebody else")
    late = ev_pb.LateFact(
        schema_version=1, producer="tools", producer_seq=1, tenant="local", session_id="sess_1"
    )
    late.action_reconciled.action_id = "act_sess_1"
    line.bus.publish(fact_subject("tools", "local", "sess_1"), late.SerializeToString(), msg_id="late")
    await line.bus.flush(1_000)
    erased = await line.forget()
    found = {place.place: (place.found, place.removed, place.left) for place in erased.places}
    assert found["callers"] == (1, 1, 0)
    assert found["memory"] == (2, 2, 0)
    assert found["EVENTS"] == (14, 14, 0)
    assert found["FACTS"] == (1, 1, 0)
    assert erased.complete
    assert list(erased.session_ids) == ["sess_1", "sess_2"]
    assert await line.bus.bucket("callers").keys() == []
    assert await line.bus.bucket("memory").keys() == ["local.sess_other"]
    for session in ("sess_1", "sess_2"):
        request = pb.GetContextRequest(tenant="local", session_id=session, budget_tokens=100)
        with pytest.raises(NotFound):
            await line.service.GetContext(request, None)
    assert "Send the receipt" in (await line.context("sess_other")).text
    again = await line.forget()
    assert again.complete
    assert not again.session_ids


async def test_a_look_names_the_calls_and_removes_nothing(line):
    await line.consent()
    await line.call("sess_1")
    looked = await line.forget(look_only=True)
    assert list(looked.session_ids) == ["sess_1"]
    assert not looked.complete
    assert all((place.removed, place.left) == (0, place.found) for place in looked.places)
    assert (await line.record()).calls == 1
    assert not line.bus.broker.streams["CONTROL"].messages


async def test_a_call_that_another_service_still_holds_is_kept_with_the_caller_and_found_again(line):
    await line.consent()
    await line.call("sess_1")
    await line.call("sess_2")
    first = await line.forget(keep_session_ids=["sess_2"])
    assert (list(first.session_ids), first.complete) == (["sess_1"], False)
    assert await line.bus.bucket("memory").keys() == ["local.sess_2"]
    assert (await line.record()).calls == 2
    again = await line.forget()
    assert (list(again.session_ids), again.complete) == (["sess_2"], True)
    assert await line.bus.bucket("callers").keys() == []


async def test_an_erasure_is_told_for_the_audit_and_does_not_say_who_was_forgotten(line):
    await line.call("sess_1")
    await line.forget(actor="bo@host")
    await line.bus.flush(1_000)
    (stored,) = line.bus.broker.streams["CONTROL"].messages
    done = ev_pb.ControlFact.FromString(stored.message.payload).caller_forgotten
    assert (done.tenant, list(done.session_ids), done.left, done.actor) == ("local", ["sess_1"], 0, "bo@host")
    assert done.removed > 0
    assert CALLER.encode() not in stored.message.payload


async def test_recorded_questions_to_policy_are_removed_with_their_call(line):
    await line.call("sess_1")
    for session in ("sess_1", "sess_9"):
        subject = decisions_subject("local", "airline", session)
        line.bus.publish(subject, b"masked", msg_id=f"recorded-{session}")
    await line.bus.flush(1_000)
    erased = await line.forget()
    assert {p.place: (p.found, p.left) for p in erased.places}["DECISIONS"] == (1, 0)
    (kept,) = line.bus.broker.streams["DECISIONS"].messages
    assert kept.message.subject.endswith(".sess_9")


async def test_background_work_that_was_parked_is_removed_with_its_call(line):
    await line.call("sess_1")
    for session in ("sess_1", "sess_9"):
        line.bus.publish(
            parked_subject("JOBS", "tools"),
            b"asked by " + session.encode(),
            msg_id=f"parked-{session}",
            headers={"Ringback-Parked-Subject": "ringback.jobs.tools.local"},
        )
    await line.bus.flush(1_000)
    erased = await line.forget()
    assert {p.place: (p.found, p.left) for p in erased.places}["PARKED"] == (1, 0)
    assert len(line.bus.broker.streams["PARKED"].messages) == 1


async def test_a_call_under_way_is_named_and_left_alone(line):
    await line.consent()
    await line.call("sess_1", ended=False)
    erased = await line.forget()
    assert not erased.complete
    assert list(erased.live_session_ids) == ["sess_1"]
    assert "Send the receipt" in (await line.context("sess_1")).text
    line.publish("sess_1", "session_ended", reason="client_closed")
    await line.context("sess_1")
    assert (await line.forget()).complete


async def test_an_actor_without_bound_is_refused(line):
    with pytest.raises(InvalidInput, match="actor"):
        await line.forget(actor="x" * 129)


@pytest.mark.parametrize("fields", [{"caller_id": ""}, {"caller_id": "x" * 200}, {"tenant": "a.b"}])
async def test_a_caller_that_cannot_be_named_is_refused(line, fields):
    request = {"tenant": "local", "caller_id": CALLER, **fields}
    with pytest.raises(InvalidInput):
        await line.service.GetCaller(pb.GetCallerRequest(**request), None)
    with pytest.raises(InvalidInput):
        await line.service.ForgetCaller(pb.ForgetCallerRequest(**request), None)


async def test_a_consent_must_say_which(line):
    with pytest.raises(InvalidInput, match="given or refused"):
        await line.consent(pb.CALLER_CONSENT_UNSPECIFIED)


def test_a_key_shows_no_id():
    assert "1234567" not in caller_key("local", CALLER)


def _call(number, *, tasks, preferences):
    position = Position(1, number + 1)
    return State(
        session_id=f"sess_{number}",
        caller_id=CALLER,
        last_ms=1_000 * (number + 1),
        ended="client_closed",
        tasks={
            f"t{number}_{n}": Task(f"t{number}_{n}", "x" * 400, "request", "open", "agent", "", "", position)
            for n in range(tasks)
        },
        slots={
            f"preference.p{n}": Slot(f"preference.p{n}", '"v"', "v", "caller", position, 1.0, number)
            for n in range(preferences)
        },
        actions={f"a{number}": Action(f"a{number}", "pay", "{}", "ok", position)},
    )


@settings(max_examples=40, deadline=None)
@given(calls=st.lists(st.tuples(st.integers(0, 24), st.integers(0, 12)), max_size=40))
def test_a_record_is_bounded_whatever_the_calls_bring(calls):
    caller = callers.with_consent(Caller("local", CALLER), GIVEN, at_ms=1, source="test")
    for number, (tasks, preferences) in enumerate(calls):
        caller = callers.with_call(
            caller, _call(number, tasks=tasks, preferences=preferences), schema=EMPTY_SCHEMA
        )
    assert len(caller.calls) <= CALLS_MAX
    assert len(msgspec.json.encode(caller)) <= RECORD_BYTES_MAX
    known = callers.recall(caller)
    assert len(known.tasks) <= callers.TASKS_MAX
    newest = [f"t{len(calls) - 1}_{n}" for n in range(calls[-1][0])] if calls else []
    assert {one.task_id for one in known.tasks} >= set(newest[: callers.TASKS_MAX])
    context = build_context(State(), budget_tokens=200, count=O200kTokens().count, now_ms=1, recall=known)
    assert context.tokens <= 200


def test_a_refusal_removes_what_was_kept():
    caller = callers.with_consent(Caller("local", CALLER), GIVEN, at_ms=1, source="test")
    caller = callers.with_call(caller, _call(1, tasks=2, preferences=2), schema=EMPTY_SCHEMA)
    refused = callers.with_consent(caller, REFUSED, at_ms=2, source="test")
    assert (refused.calls, refused.consent) == ((), REFUSED)
    assert callers.with_call(refused, _call(2, tasks=1, preferences=1), schema=EMPTY_SCHEMA) is refused
