"""Memory's plan is applied at a turn boundary, exactly, once, or not at all."""

from ringback_session import wire
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from session_core_kit import CoreCall


def plan(epoch=1, items=(), calls=()):
    return ev.CompactionPlan(
        epoch=epoch,
        covers_epoch=1,
        covers_seq=5,
        item_ids=tuple(items),
        call_ids=tuple(calls),
        compact_context="So far: a cancelled reservation.",
        summary="a cancelled reservation",
    )


def arrives(call, offered, *, as_of=None):
    return call.do(
        ev.ContextArrived(slots=(), as_of=as_of or (call.state.epoch, call.state.seq), plan=offered)
    )


def talk(call):
    call.says("Hello.")
    call.reply("Hi there.")
    return [entry.item_id for entry in call.state.history]


def test_a_plan_replaces_its_items_by_the_compact_context_at_the_head(call):
    items = talk(call)
    arrives(call, plan(items=items))
    assert call.one(fx.Forget).item_ids == tuple(items)
    note = call.one(fx.Note)
    assert (note.role, note.at_head) == ("system", True)
    assert [entry.text for entry in call.state.history] == ["So far: a cancelled reservation."]
    (fact,) = call.facts("context_compacted")
    assert (fact["compaction_epoch"], fact["item_ids"]) == (1, items)


def test_the_next_plan_takes_the_compact_context_of_the_one_before_along(call):
    arrives(call, plan(items=talk(call)))
    head = call.state.history[0].item_id
    items = talk(call)[1:]
    arrives(call, plan(epoch=2, items=items))
    forgotten = [effect for effect in call.effects if isinstance(effect, fx.Forget)][-1]
    assert set(forgotten.item_ids) == {head, *items}
    assert len(call.state.history) == 1


def test_a_plan_of_another_epoch_changes_nothing(call):
    items = talk(call)
    for epoch in (0, 2, 7):
        arrives(call, plan(epoch=epoch, items=items))
    arrives(call, plan(items=items))
    arrives(call, plan(items=items))
    assert len(call.facts("context_compacted")) == 1


def test_a_plan_that_does_not_know_of_the_rebuilt_conversation_changes_nothing(call):
    items = talk(call)
    before = (call.state.epoch, call.state.seq)
    call.do(ev.ModelLost(reason="closed_1006"))
    arrives(call, plan(items=items), as_of=before)
    assert not call.facts("context_compacted")


def test_a_plan_waits_for_the_turn_boundary(call):
    items = talk(call)
    call.says("And now?", gate=None)
    arrives(call, plan(items=items))
    assert not call.facts("context_compacted")


def test_the_fact_of_a_compaction_reaches_the_wire():
    call = CoreCall()
    items = talk(call)
    made = arrives(call, plan(items=items, calls=["call_1"]))
    (fact,) = [effect for effect in made if isinstance(effect, fx.Publish)]
    message = wire.event(fact, "local", "sess_test")
    assert list(message.context_compacted.item_ids) == items
    assert list(message.context_compacted.call_ids) == ["call_1"]
