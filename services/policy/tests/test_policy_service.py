"""One replica and its servicers over the bus's twin: publish, activate, decide, read, compose, audit."""

import asyncio
import json
import threading

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from ringback.policy.v1 import audit_pb2
from ringback.policy.v1 import policy_pb2 as pb
from ringback_errors import Conflict, InvalidInput, NotFound, Unavailable
from ringback_events import MemoryBroker, MemoryBus
from ringback_identity import MacKeys, Proof, canonical_json, digest
from ringback_policy.adapters import bundle_store
from ringback_policy.adapters.audit_trail import chain_breaks, read_entries
from ringback_policy.bootstrap import assemble
from ringback_policy.domain.compiling import compile_bundle
from ringback_policy.server.admin import PolicyAdminServicer
from ringback_policy.server.policy import PolicyServicer
from ringback_policy.usecases import publishing

NOW_MS = 1_795_000_000_000
ARGUMENTS = canonical_json({"reservation_id": "482915"})
TOOLS = {"get_reservation": pb.SIDE_EFFECT_READ, "cancel_reservation": pb.SIDE_EFFECT_IRREVERSIBLE}


def stamp(ms):
    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


class Replica:
    """A replica of policy on a broker."""

    def __init__(self, broker, keys, name):
        self.bus = MemoryBus(broker, name=name)
        self.parts = assemble(self.bus, keys, instance=name, clock=lambda: NOW_MS)
        self.policy = PolicyServicer(self.parts.deciding)
        self.admin = PolicyAdminServicer(self.parts.publishing, self.parts.rolling_out)

    async def publish(self, files, *, pack="airline", tools=TOOLS):
        request = pb.PublishBundleRequest(pack=pack, files=files, tools=tools, actor="ana")
        return (await self.admin.PublishBundle(request, None)).bundle_digest

    async def activate(self, bundle, *, expected="", pack="airline"):
        request = pb.ActivateBundleRequest(
            pack=pack, bundle_digest=bundle, actor="ana", reason="first", expected_digest=expected
        )
        return (await self.admin.ActivateBundle(request, None)).previous_digest

    async def decide(self, bundle, *, consent=False, facts=True, reservation=None, **changes):
        return await self.policy.Decide(
            request_for(bundle, consent=consent, facts=facts, reservation=reservation, **changes), None
        )


def request_for(bundle, *, consent=False, facts=True, reservation=None, **changes):
    request = pb.DecideRequest(
        decision_id="dec_1",
        gate=pb.GATE_ACTION,
        tenant="local",
        bundle_digest=bundle,
        session=pb.SessionView(session_id="sess_1", tenant="local", turn=3),
        now=stamp(NOW_MS),
        action=pb.ActionSubject(
            action_id="act_1",
            tool="cancel_reservation",
            tool_version="1.0",
            arguments_json=ARGUMENTS,
            arguments_digest=digest(ARGUMENTS),
            side_effect=pb.SIDE_EFFECT_IRREVERSIBLE,
        ),
    )
    if facts:
        request.facts.add(
            name="reservation",
            tool="get_reservation",
            arguments_json=ARGUMENTS,
            value_json=json.dumps(reservation),
            age_ms=5,
        )
    if consent:
        given = request.action.consent
        given.consent_id, given.arguments_digest = "con_1", digest(ARGUMENTS)
        given.given_at.CopyFrom(stamp(NOW_MS - 100))
        given.expires_at.CopyFrom(stamp(NOW_MS + 60_000))
    for name, value in changes.items():
        setattr(request, name, value)
    return request


@pytest.fixture
def keys(tmp_path):
    MacKeys.generate(tmp_path / "mac.json")
    return MacKeys.load(tmp_path / "mac.json")


@pytest.fixture
async def broker():
    return MemoryBroker()


@pytest.fixture
async def replica(broker, keys):
    made = Replica(broker, keys, "one")
    await made.parts.open()
    yield made
    await made.parts.close()


async def audited(replica):
    """All entries of the audit, after everything was delivered."""
    replica.parts.audit.deliver()
    await until(lambda: not replica.parts.audit._held)
    await replica.bus.flush()
    stored = replica.bus.broker.streams["AUDIT"].messages
    entries = []
    for item in stored:
        entries += read_entries(item.message.payload)
    return entries


async def until(condition):
    """Waits for a state that the event loop will bring about."""
    async with asyncio.timeout(25):
        while not condition():
            await asyncio.sleep(0)


async def test_a_call_goes_from_facts_over_consent_to_a_proof_that_tools_accept(replica, airline, keys):
    bundle = await replica.publish(airline.files("airline"))
    first = await replica.decide(bundle, facts=False)
    assert first.effect == pb.EFFECT_UNSPECIFIED
    assert [need.name for need in first.needs_facts] == ["reservation"]
    second = await replica.decide(bundle, reservation=airline.reservation)
    assert second.effect == pb.EFFECT_CONFIRM
    assert "four eight two, nine one five" in second.read_back.text
    assert "December fourth" in second.read_back.text
    assert "two hundred forty dollars" in second.read_back.text
    third = await replica.decide(bundle, consent=True, reservation=airline.reservation)
    assert (third.effect, third.decision_id) == (pb.EFFECT_ALLOW, "dec_1")
    proof = Proof(
        third.proof.key_id,
        third.proof.mac,
        third.proof.decision_id,
        third.proof.consent_id,
        third.proof.expires_at_ms,
    )
    signed = {
        "tenant": "local",
        "session_id": "sess_1",
        "action_id": "act_1",
        "tool": "cancel_reservation",
        "tool_version": "1.0",
        "arguments_digest": digest(ARGUMENTS),
    }
    keys.verify(proof, now_ms=NOW_MS + 29_999, **signed)
    assert proof.expires_at_ms == NOW_MS + 30_000


async def test_every_decision_reading_and_change_is_in_an_unbroken_chain(replica, airline):
    bundle = await replica.publish(airline.files("airline"))
    await replica.activate(bundle)
    await replica.decide(bundle, facts=False)
    await replica.decide(bundle, reservation=airline.reservation)
    reading = pb.ReadConsentRequest(
        tenant="local",
        session_id="sess_1",
        consent_id="con_1",
        bundle_digest=bundle,
        read_back="Shall I go ahead?",
        utterance="yes",
        confidence=0.9,
        side_effect=pb.SIDE_EFFECT_IRREVERSIBLE,
    )
    assert (await replica.policy.ReadConsent(reading, None)).reading == pb.CONSENT_READING_YES
    entries = await audited(replica)
    assert [entry.WhichOneof("body") for entry in entries] == [
        "change",
        "change",
        "decision",
        "decision",
        "consent",
    ]
    assert [entry.change.kind for entry in entries[:2]] == ["publish", "activate"]
    assert entries[1].change.to_digest == bundle
    assert entries[3].decision.rule == "cancel-within-a-day"
    assert entries[3].decision.input_digest.startswith("sha256:")
    assert list(entries[2].decision.needs_facts) == ["reservation"]
    assert chain_breaks(entries) == []


async def test_a_changed_a_missing_and_a_reordered_entry_break_the_chain(replica, airline):
    bundle = await replica.publish(airline.files("airline"))
    for _ in range(3):
        await replica.decide(bundle, facts=False)
    entries = await audited(replica)
    assert "missing" in chain_breaks([entries[0], *entries[2:]])[0]
    changed = audit_pb2.AuditEntry()
    changed.CopyFrom(entries[1])
    changed.decision.effect = pb.EFFECT_ALLOW
    assert "was changed" in chain_breaks([entries[0], changed, *entries[2:]])[0]


async def test_no_value_of_the_caller_stands_in_the_audit(replica, airline):
    bundle = await replica.publish(airline.files("airline"))
    await replica.decide(bundle, consent=True, reservation={**airline.reservation, "passenger": "Zaphod"})
    payloads = b"".join(entry.SerializeToString() for entry in await audited(replica))
    assert b"Zaphod" not in payloads
    assert b"482915" not in payloads


async def test_another_replica_learns_of_bundles_by_watch_and_a_restart_loses_nothing(
    replica, broker, keys, airline
):
    other = Replica(broker, keys, "two")
    await other.parts.open()
    bundle = await replica.publish(airline.files("airline"))
    await replica.activate(bundle)
    await until(lambda: other.parts.store.active_digests() == {"airline": bundle})
    await until(lambda: len(other.parts.store.all()) == 1)
    decision = await other.decide(bundle, reservation=airline.reservation)
    assert decision.effect == pb.EFFECT_CONFIRM
    await other.parts.close()
    again = Replica(broker, keys, "two")
    await again.parts.open()
    rules = await again.policy.GetSessionRules(
        pb.GetSessionRulesRequest(tenant="local", pack="airline"), None
    )
    assert rules.bundle_digest == bundle
    assert rules.turn_rules.filler_after_ms == 600
    assert [(f.side_effect, f.effect) for f in rules.fallbacks] == [(1, pb.EFFECT_ALLOW), (2, 4), (3, 4)]
    await again.parts.close()


async def test_a_replica_that_the_watch_has_not_reached_yet_reads_the_bundle_itself(
    replica, broker, keys, airline
):
    other = Replica(broker, keys, "two")
    await other.parts.open()
    await other.parts.store.close()
    bundle = await replica.publish(airline.files("airline"))
    assert (await other.decide(bundle, facts=False)).needs_facts
    assert await other.activate(bundle) == ""
    await other.parts.close()


@pytest.fixture
def held(monkeypatch):
    """Compiling, in the module of this name, waits until it is told to go on."""
    go_on = threading.Event()

    def compiled(*args, **more):
        assert go_on.wait(25)
        return compile_bundle(*args, **more)

    def hold(module):
        monkeypatch.setattr(module, "compile_bundle", compiled)
        return go_on

    yield hold
    go_on.set()


async def test_decisions_go_on_while_a_bundle_is_compiled(replica, airline, held):
    bundle = await replica.publish(airline.files("airline"))
    go_on = held(publishing)
    other = asyncio.create_task(replica.publish(airline.files("airline"), pack="other"))
    await asyncio.sleep(0)
    assert (await replica.decide(bundle, facts=False)).needs_facts
    assert not other.done()
    go_on.set()
    assert await other != bundle


async def test_a_session_that_begins_while_the_active_bundle_is_compiled_gets_it(
    replica, broker, keys, airline, held
):
    other = Replica(broker, keys, "two")
    await other.parts.open()
    go_on = held(bundle_store)
    bundle = await replica.publish(airline.files("airline"))
    await replica.activate(bundle)
    await until(lambda: other.parts.store.active_digests() == {"airline": bundle})
    begins = asyncio.create_task(
        other.policy.GetSessionRules(pb.GetSessionRulesRequest(tenant="local", pack="airline"), None)
    )
    await asyncio.sleep(0)
    assert not begins.done()
    go_on.set()
    assert (await begins).bundle_digest == bundle
    await other.parts.close()


async def test_decisions_go_on_without_the_bus_and_their_audit_is_delivered_after(replica, broker, airline):
    bundle = await replica.publish(airline.files("airline"))
    await replica.activate(bundle)
    broker.stop()
    for _ in range(3):
        decision = await replica.decide(bundle, consent=True, reservation=airline.reservation)
        assert decision.effect == pb.EFFECT_ALLOW
    await replica.parts.store.probe()
    broker.start()
    entries = await audited(replica)
    assert [entry.chain_seq for entry in entries] == [1, 2, 3, 4, 5]
    assert chain_breaks(entries) == []


async def test_a_stored_bundle_that_is_not_what_its_digest_says_is_not_loaded(replica, airline, caplog):
    bundle = await replica.publish(airline.files("airline"))
    bucket = replica.bus.bucket(bundle_store.BUCKET)
    entry = await bucket.get(f"bundle.{bundle.removeprefix('sha256:')}")
    await bucket.create(f"bundle.{'0' * 64}", entry.value)
    await until(lambda: "has the content of" in caplog.text)
    with pytest.raises(NotFound):
        await replica.decide("sha256:" + "0" * 64, facts=False)


async def test_a_replica_that_has_read_no_bundles_says_so_and_is_not_serving(broker, keys):
    broker.stop()
    waited = asyncio.Event()

    async def pause(seconds):
        waited.set()
        await asyncio.Event().wait()

    made = Replica(broker, keys, "one")
    made.parts.store._pause = pause
    opening = asyncio.create_task(made.parts.open())
    with pytest.raises(Unavailable):
        await made.parts.store.probe()
    with pytest.raises(Unavailable):
        await made.decide("sha256:x", facts=False)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    broker.start()
    await made.parts.close()


async def test_a_broken_bundle_is_refused_with_its_findings_and_the_active_one_stays(replica, airline):
    files = airline.files("airline")
    bundle = await replica.publish(files)
    await replica.activate(bundle)
    broken = {
        **files,
        "domain.yaml": files["domain.yaml"].replace(b"segments_flown > 0", b"segment_flown > 0"),
    }
    with pytest.raises(InvalidInput) as refused:
        await replica.publish(broken)
    assert "domain.yaml:" in str(refused.value)
    assert "rule cancel-flown: unknown field facts.reservation.segment_flown" in str(refused.value)
    listed = await replica.admin.ListBundles(pb.ListBundlesRequest(), None)
    assert [(row.bundle_digest, row.active) for row in listed.bundles] == [(bundle, True)]
    assert dict(listed.bundles[0].layer_owners)["safety"] == "team-safety"


async def test_activation_is_a_compare_and_set(replica, airline):
    files = airline.files("airline")
    first = await replica.publish(files)
    second = await replica.publish(
        {**files, "safety.yaml": files["safety.yaml"].replace(b"hijack", b"hi jack")}
    )
    assert await replica.activate(first) == ""
    with pytest.raises(Conflict):
        await replica.activate(second)
    assert await replica.activate(second, expected=first) == first
    with pytest.raises(Conflict):
        await replica.activate(first, expected=first)
    assert await replica.activate(second, expected="whatever") == second


async def test_an_unknown_bundle_or_pack_or_one_of_another_pack_is_an_error(replica, airline):
    with pytest.raises(NotFound):
        await replica.decide("sha256:none", facts=False)
    with pytest.raises(NotFound):
        await replica.activate("sha256:none")
    with pytest.raises(NotFound):
        await replica.policy.GetSessionRules(pb.GetSessionRulesRequest(pack="airline"), None)
    bundle = await replica.publish(airline.files("passthrough"), pack="passthrough", tools={})
    with pytest.raises(InvalidInput):
        await replica.activate(bundle, pack="airline")
    with pytest.raises(InvalidInput):
        await replica.publish(airline.files("airline"), pack="../x")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"gate": 0}, "gate"),
        ({"gate": 99}, "gate"),
        ({"decision_id": ""}, "decision_id"),
        ({"tenant": ""}, "tenant"),
        ({"tenant": "other"}, "session.tenant"),
        ({"bundle_digest": ""}, "bundle_digest"),
        ({"gate": pb.GATE_INPUT}, "subject"),
    ],
)
async def test_a_request_that_lacks_something_is_refused_with_the_field(replica, airline, changes, field):
    bundle = await replica.publish(airline.files("airline"))
    with pytest.raises(InvalidInput) as refused:
        await replica.decide(bundle, facts=False, **changes)
    assert refused.value.field == field


@pytest.mark.parametrize("missing", ["now", "action"])
async def test_a_request_without_clock_or_subject_is_refused(replica, airline, missing):
    bundle = await replica.publish(airline.files("airline"))
    request = request_for(bundle, facts=False)
    request.ClearField(missing)
    with pytest.raises(InvalidInput):
        await replica.policy.Decide(request, None)


async def test_a_side_effect_that_nobody_classified_counts_as_irreversible(replica, airline):
    bundle = await replica.publish(airline.files("airline"))
    request = request_for(bundle, facts=False)
    request.action.tool = "get_reservation"
    request.action.side_effect = pb.SIDE_EFFECT_UNSPECIFIED
    assert (await replica.policy.Decide(request, None)).rule == "no-read-back"


async def test_a_consent_reading_needs_its_consent_and_bundle(replica, airline):
    bundle = await replica.publish(airline.files("airline"))
    with pytest.raises(InvalidInput):
        await replica.policy.ReadConsent(
            pb.ReadConsentRequest(tenant="local", session_id="s", bundle_digest=bundle, utterance="yes"), None
        )
    asked = pb.ReadConsentRequest(
        tenant="local", session_id="s", consent_id="con_1", bundle_digest="sha256:none", utterance="yes"
    )
    with pytest.raises(NotFound):
        await replica.policy.ReadConsent(asked, None)
