"""The rollout of bundles and the audit from the command line."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf.json_format import MessageToJson
from hypothesis import given
from hypothesis import strategies as st
from ringback.events.v1 import events_pb2
from ringback.policy.v1 import audit_pb2, policy_pb2, policy_pb2_grpc
from ringback_cli.audit import _hash, chain_breaks, entry_line, read_audit
from ringback_cli.audited import joined
from ringback_cli.commands.policy import app
from ringback_cli.commands.policy_gates import tell_gate_failed
from ringback_cli.recorded import read_questions
from ringback_cli.stack.nats_server import nats_program, write_config
from ringback_cli.stack.paths import StackPaths
from ringback_cli.stack.ports import free_ports
from ringback_cli.stack.probes import grpc_serving, nats_listening
from ringback_cli.stack.process import ProgramSpec
from ringback_cli.stack.provision import publish_and_activate
from ringback_cli.stack.supervisor import Supervisor
from ringback_cli.stack.tenancy import ensure_proof_keys
from ringback_errors import Conflict, InvalidInput
from ringback_events import connect
from ringback_identity import canonical_json, digest
from ringback_packs import PackStore
from typer.testing import CliRunner

ROOT = Path(__file__).parents[3]
RESERVATION = {
    "reservation_id": "482915",
    "status": "confirmed",
    "origin": "Boston",
    "destination": "Denver",
    "departure_date": "2026-12-04",
    "passenger": "Maria Lopez",
    "cabin": "economy",
    "insurance": False,
    "airline_cancelled": False,
    "hours_since_booking": 5,
    "amount": 240,
    "currency": "USD",
    "payment_method": "Visa ending in 4417",
    "segments_flown": 0,
}


def chain(count, *, replica="one"):
    entries, last = [], b""
    for seq in range(1, count + 1):
        entry = audit_pb2.AuditEntry(replica=replica, chain_seq=seq, previous_hash=last, tenant="local")
        entry.change.kind, entry.change.reason = "publish", f"reason {seq}"
        entry.hash = last = _hash(entry)
        entries.append(entry)
    return entries


@given(data=st.data(), count=st.integers(2, 8))
def test_a_chain_holds_in_any_order_and_with_repeats_but_with_no_entry_gone_or_changed(data, count):
    entries = [*chain(count), *chain(3, replica="two")]
    shuffled = data.draw(st.permutations([*entries, entries[0]]))
    assert chain_breaks(shuffled) == []
    gone = data.draw(st.integers(0, count - 2))
    assert chain_breaks([*entries[:gone], *entries[gone + 1 :]]) != []
    entries[gone].change.reason = "another"
    assert f"one: entry {gone + 1} was changed" in chain_breaks(entries)


def test_an_entry_that_was_made_anew_with_its_hash_breaks_the_link_behind_it():
    entries = chain(3)
    entries[1].change.reason = "another"
    entries[1].hash = _hash(entries[1])
    assert chain_breaks(entries) == ["one: entry 3 does not follow entry 2"]


def test_a_line_says_who_what_and_why():
    entry = audit_pb2.AuditEntry(tenant="local", actor="policy")
    entry.decision.decision_id, entry.decision.tool, entry.decision.rule = "dec_1", "pay", "too-much"
    entry.decision.effect = policy_pb2.EFFECT_DENY
    line = entry_line(entry)
    assert all(word in line for word in ("decision", "local", "policy", "dec_1", "pay", "deny", "too-much"))


@pytest.mark.parametrize(
    ("moved", "reason", "told"),
    [
        (
            ("sha256:aaaaaaaabbb", "sha256:ccccccccddd"),
            "try it",
            "stage shop sha256:aaaaaaaa → sha256:cccccccc: try it",
        ),
        (("", "sha256:cccccccc"), "", "stage shop none → sha256:cccccccc"),
        (("sha256:aaaaaaaa", ""), "worse", "stage shop sha256:aaaaaaaa → none: worse"),
        (("", ""), "", "stage shop"),
    ],
)
def test_a_line_of_a_change_says_from_where_to_where(moved, reason, told):
    entry = audit_pb2.AuditEntry(tenant="_operator", actor="ana")
    entry.change.kind, entry.change.pack, entry.change.reason = "stage", "shop", reason
    entry.change.from_digest, entry.change.to_digest = moved
    assert entry_line(entry).endswith(f" {told}")


def test_a_kind_of_entry_that_there_is_not_is_refused():
    refused = CliRunner().invoke(app, ["audit", "--kind", "changes"])
    assert (refused.exit_code, "'change'" in refused.output) == (2, True)


@pytest.mark.parametrize(
    ("gate", "reason", "field"),
    [("", "0.71 < 0.80", "--gate"), ("g" * 65, "0.71 < 0.80", "--gate"), ("completion", " \n", "--reason")],
)
def test_a_failed_gate_without_a_name_or_a_reason_is_told_to_nobody(gate, reason, field):
    refused = CliRunner().invoke(app, ["gate-failed", "airline", "--gate", gate, "--reason", reason])
    assert (type(refused.exception), refused.exception.field) == (InvalidInput, field)


def test_questions_from_two_places_at_once_are_refused():
    refused = CliRunner().invoke(app, ["diff", "airline", "--from", "audit", "--questions", "here.jsonl"])
    assert (type(refused.exception), refused.exception.field) == (InvalidInput, "--from")


def test_audited_decisions_lead_to_their_inputs_by_digest_and_the_others_are_counted():
    def decision(number, **fields):
        named = {"decision_id": f"dec_{number}", "bundle_digest": "sha256:a", "source": "policy"}
        given = {**named, "effect": policy_pb2.EFFECT_ALLOW, "input_digest": f"sha256:{number}", **fields}
        return audit_pb2.AuditedDecision(**given)

    inputs = {
        f"sha256:{number}": policy_pb2.DecideRequest(decision_id=f"dec_{number}") for number in (1, 2, 5)
    }
    decisions = [
        decision(1, bundle_digest="sha256:of-another-pack"),
        decision(2),
        decision(3),
        decision(4, source="fallback", input_digest=""),
        decision(5, effect=policy_pb2.EFFECT_UNSPECIFIED, needs_facts=["reservation"]),
        decision(5, rule="later"),
    ]
    found = joined(decisions, {"sha256:a"}, inputs, last=10)
    assert [question.decision_id for question in found.questions] == ["dec_2", "dec_5"]
    assert (len(found.decisions), found.unrecorded, found.alone) == (4, 1, 1)
    change = policy_pb2.DecisionChange(
        decision_id="dec_5", before=policy_pb2.EFFECT_ALLOW, rule_before="later"
    )
    assert found.otherwise(change) == ""
    change.before = policy_pb2.EFFECT_DENY
    assert found.otherwise(change) == "allow by later"
    assert [len(joined(decisions, {"sha256:a"}, inputs, last=last).decisions) for last in (1, 2)] == [1, 2]


def ringback(*arguments):
    """A process of its own: the command handles signals, which only a main thread can."""
    command = [sys.executable, "-m", "ringback_cli.main", "policy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("folder", "code"), [("airline/bundle", 0), ("airline", 0), ("airline/calls", 1), ("nowhere", 2)]
)
def test_the_authors_commands_pass_on_what_the_compiler_says(folder, code):
    assert CliRunner().invoke(app, ["check", str(ROOT / "packs" / folder)]).exit_code == code


@pytest.mark.stack
@pytest.mark.timeout(600)
async def test_a_bundle_goes_from_stage_over_canary_to_promoted_and_back(tmp_path):
    paths = StackPaths(tmp_path)
    paths.make()
    ensure_proof_keys(paths.mac_keys)
    nats, policy = free_ports(2)
    async with Supervisor(on_note=lambda note: None) as supervisor:
        for program in programs(paths, nats, policy):
            await supervisor.start(program)
        await publish_and_activate(
            [ROOT / "packs" / "airline"],
            nats_url=f"nats://127.0.0.1:{nats}",
            policy_address=f"127.0.0.1:{policy}",
            reason="test",
        )
        address, nats_url = f"127.0.0.1:{policy}", f"nats://127.0.0.1:{nats}"
        await refuse_a_pack(tmp_path / "refused", address, nats_url)
        await asyncio.to_thread(walk, tmp_path, address, nats_url)
        await fail_a_canary(address, nats_url)


def walk(folder, policy, nats):
    at = ("--policy", policy)
    stricter = stricter_airline(folder)
    code, said = ringback("stage", str(stricter), *at)
    assert code == 0, said
    assert "staged only" in said
    questions = folder / "questions.jsonl"
    code, said = ringback("diff", "airline", *at)
    assert (code, "nothing was compared: no question was asked" in said) == (1, True), said
    code, said = ringback("diff", "airline", "--questions-min", "0", *at)
    assert (code, "0 questions, 0 decisions change" in said) == (0, True), said
    questions.write_text("{}\nnot json\n")
    code, said = ringback("diff", "airline", "--questions", str(questions), *at)
    assert (code, "questions.jsonl:2" in said.replace("\n", "")) == (2, True), said
    code, said = ringback("canary", "airline", "--percent", "5", "--tenant", "local", *at)
    assert (code, "5 % of new sessions of local" in said) == (0, True), said
    told = ("--gate", "completion", "--reason", "0.71 < 0.80", "--nats-url", nats)
    code, said = ringback("gate-failed", "airline", *told, *at)
    assert (code, "gates failed 1" in said) == (0, True), said
    code, said = ringback("promote", "airline", "--revision", "1", *at)
    assert (code, "look at it again" in said) == (1, True), said
    assert ringback("promote", "airline", *at)[0] == 0
    code, said = ringback("rollback", "airline", *at)
    assert (code, "candidate    none" in said) == (0, True), said
    code, said = ringback("status", "airlin", *at)
    assert (code, "no bundle of pack airlin; it has those of: airline" in said) == (1, True), said
    code, said = ringback("audit", "--kind", "change", "--nats-url", nats)
    assert (code, "every chain holds" in said) == (0, True), said
    assert [word for word in ("stage", "canary", "promote", "rollback") if word not in said] == []
    assert "gate_failed airline" in said
    assert "gate completion failed: 0.71 < 0.80" in said


async def refuse_a_pack(folder, policy, nats):
    """A pack whose bundle policy refuses is not what new calls get."""
    refused = stricter_airline(folder)
    domain = refused / "bundle" / "domain.yaml"
    domain.write_text(domain.read_text().replace("effect: deny", "effect: denny", 1))
    bus = await connect(nats, name="test")
    try:
        before = await PackStore(bus).resolve("airline")
        with pytest.raises(InvalidInput, match="policy refuses the bundle of pack airline"):
            await publish_and_activate([refused], nats_url=nats, policy_address=policy, reason="test")
        assert await PackStore(bus).resolve("airline") == before
    finally:
        await bus.close()


async def fail_a_canary(policy, nats):
    """A second failed gate rolls a canary back; a bundle in no canary cannot fail one."""
    async with grpc.aio.insecure_channel(policy) as channel:
        stub = policy_pb2_grpc.PolicyAdminServiceStub(channel)
        known = (await stub.ListBundles(policy_pb2.ListBundlesRequest())).bundles
        stricter = next(bundle.bundle_digest for bundle in known if not bundle.active)
        rollout = (await stub.GetRollout(policy_pb2.GetRolloutRequest(pack="airline"))).rollout
        order = {"pack": "airline", "actor": "ana"}
        with pytest.raises(Conflict, match="running canary of pack airline, which is none"):
            await tell_gate_failed(stub, "airline", failed_gate(), nats_url=nats)
        request = policy_pb2.StageBundleRequest(
            **order, bundle_digest=stricter, expected_revision=rollout.revision
        )
        staged = (await stub.StageBundle(request)).rollout
        request = policy_pb2.StartCanaryRequest(**order, percent=5, expected_revision=staged.revision)
        await stub.StartCanary(request)
        with pytest.raises(Conflict, match=f"which is {stricter}"):
            await tell_gate_failed(stub, "airline", failed_gate("sha256:of-another"), nats_url=nats)
        once = await tell_gate_failed(stub, "airline", failed_gate(), nats_url=nats)
        assert (once.gates_failed, once.candidate_digest) == (1, stricter)
        twice = await tell_gate_failed(stub, "airline", failed_gate(stricter), nats_url=nats)
        assert (twice.gates_failed, twice.candidate_digest) == (0, "")


def failed_gate(bundle=""):
    return events_pb2.GateFailed(
        gate="latency", reason="900 ms > 800 ms", bundle_digest=bundle, actor="nightly"
    )


@pytest.mark.stack
@pytest.mark.timeout(600)
async def test_a_diff_asks_both_bundles_what_the_audit_knows_what_policy_recorded_or_what_a_file_holds(
    tmp_path,
):
    paths = StackPaths(tmp_path)
    paths.make()
    ensure_proof_keys(paths.mac_keys)
    nats, policy, quiet = free_ports(3)
    nats_url, address = f"nats://127.0.0.1:{nats}", f"127.0.0.1:{policy}"
    async with Supervisor(on_note=lambda note: None) as supervisor:
        for program in programs(paths, nats, policy, RINGBACK_RECORD_DECISIONS="true"):
            await supervisor.start(program)
        await supervisor.start(replica("policy-quiet", paths, nats, quiet))
        await publish_and_activate(
            [ROOT / "packs" / "airline"], nats_url=nats_url, policy_address=address, reason="test"
        )
        at = ("--policy", address, "--nats-url", nats_url)
        stage = ("stage", str(stricter_airline(tmp_path)), "--policy", address)
        assert (await asyncio.to_thread(ringback, *stage))[0] == 0
        code, said = await asyncio.to_thread(ringback, "diff", "airline", "--from", "audit", *at)
        assert (code, "RINGBACK_RECORD_DECISIONS=true" in said.replace("\n", "")) == (1, True), said
        await ask(address, cancelled=(0, 4, 4, 7))
        # Replicas tell the audit each in its own time: the last decision is to be the one without a recorded input.
        await told(nats_url, recorded=4, audited=4)
        await ask(f"127.0.0.1:{quiet}", cancelled=(4,), first=8)
        recorded = await told(nats_url, recorded=4, audited=5)
        await asyncio.to_thread(compare, tmp_path, at, recorded)


async def ask(address, *, cancelled, first=0):
    """Asks whether a reservation may be cancelled after so many."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = policy_pb2_grpc.PolicyServiceStub(channel)
        rules = await stub.GetSessionRules(
            policy_pb2.GetSessionRulesRequest(tenant="local", pack="airline", session_id="sess_1"), timeout=10
        )
        for number, succeeded in enumerate(cancelled, first):
            await stub.Decide(cancellation(rules.bundle_digest, number, succeeded), timeout=10)


async def told(nats_url, *, recorded, audited):
    """What policy recorded, once so much of it and of the audit is there."""
    async with asyncio.timeout(60):
        while len(found := await read_questions(nats_url, "airline", last=10)) < recorded:
            pass
        while sum(kind == "decision" for kind, _ in (await read_audit(nats_url)).lines) < audited:
            pass
    return found


def cancellation(bundle, number, succeeded):
    asked = policy_pb2.DecideRequest(
        decision_id=f"dec_{number}", gate=policy_pb2.GATE_ACTION, tenant="local", bundle_digest=bundle
    )
    asked.now.FromMilliseconds(1_795_000_000_000)
    asked.session.session_id, asked.session.tenant = "sess_1", "local"
    # It is masked in what is recorded, so that the recorded question has another digest than the decided one.
    asked.session.caller.caller_id = "+1 212 555 0147"
    asked.session.totals.add(tool="cancel_reservation", requested=succeeded, succeeded=succeeded)
    arguments = canonical_json({"reservation_id": "482915"})
    asked.action.action_id, asked.action.tool, asked.action.tool_version = (
        "act_1",
        "cancel_reservation",
        "1.0",
    )
    asked.action.arguments_json, asked.action.arguments_digest = arguments, digest(arguments)
    asked.action.side_effect = policy_pb2.SIDE_EFFECT_IRREVERSIBLE
    asked.facts.add(
        name="reservation",
        tool="get_reservation",
        arguments_json=arguments,
        value_json=json.dumps(RESERVATION),
        age_ms=5,
    )
    return asked


def compare(folder, at, recorded):
    diff = ("diff", "airline", *at)
    code, said = ringback(*diff, "--from", "audit", "--unrecorded-max", "1", "--changed-max", "2")
    assert (code, "4 questions, 2 decisions change, 0 of them laxer" in said) == (0, True), said
    assert "5 decisions of 1 bundle in the audit" in said
    assert "1  without a recorded input: policy keeps inputs for a week where" in said
    assert "cancel-too-many: confirm → escalate" in " ".join(said.split()), said
    assert [name for name in ("dec_1 ", "dec_2 ") if f"{name}cancel_reservation" not in said] == []
    assert "dec_0" not in said
    assert ringback(*diff, "--from", "audit", "--unrecorded-max", "0")[0] == 1
    code, said = ringback(*diff, "--from", "audit", "--last", "1")
    assert (code, "no audited decision about this pack has a recorded input" in " ".join(said.split())) == (
        1,
        True,
    ), said
    code, said = ringback(*diff, "--from", "recorded", "--last", "1")
    assert (code, "1 questions, 0 decisions change" in said) == (0, True), said
    assert ringback(*diff, "--from", "audit", "--changed-max", "1")[0] == 1
    digests = dict(line.split() for line in said.splitlines()[:2])
    turned = ("--base", digests["candidate"], "--candidate", digests["base"])
    code, said = ringback(*diff, "--from", "audit", *turned)
    assert (code, "2 decisions change, 2 of them laxer" in said) == (1, True), said
    assert said.count("(when it was decided: confirm by cancel-within-a-day)") == 2, said
    file = folder / "recorded.jsonl"
    file.write_text("".join(MessageToJson(question, indent=None) + "\n" for question in recorded))
    code, said = ringback(*diff, "--from", str(file))
    assert (code, "4 questions, 2 decisions change, 0 of them laxer" in said) == (0, True), said
    assert ringback(*diff, "--from", str(file), *turned, "--laxer-max", "2")[0] == 0
    file.write_text('{"gate": "GATE_NOWHERE"}\n')
    code, said = ringback(*diff, "--from", str(file))
    assert (code, "recorded.jsonl:1" in said.replace("\n", "")) == (2, True), said
    code, said = ringback(*diff, "--from", str(folder / "nowhere"))
    assert (code, "expected a file that can be read" in said.replace("\n", "")) == (2, True), said
    code, said = ringback("promote", "airline", "--from", "audit", *at)
    assert (code, "decisions of 1 bundle in the audit" in said) == (0, True), said


def stricter_airline(folder):
    """The airline with four cancellations a call at most."""
    copy = folder / "airline"
    for path in (ROOT / "packs" / "airline").rglob("*.yaml"):
        target = copy / path.relative_to(ROOT / "packs" / "airline")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text().replace("succeeded >= 5", "succeeded >= 4"))
    return copy


def programs(paths, nats, policy, **more):
    config = paths.state / "nats.conf"
    write_config(config, host="127.0.0.1", port=nats, store=paths.nats_store)
    yield ProgramSpec(
        name="nats",
        argv=(str(nats_program()), "--config", str(config)),
        log_file=paths.log_of("nats"),
        env=dict(os.environ),
        probe=nats_listening("127.0.0.1", nats),
    )
    yield replica("policy", paths, nats, policy, **more)


def replica(name, paths, nats, port, **more):
    """One replica of policy."""
    state = paths.state_of(name)
    state.mkdir(parents=True)
    env = {
        "RINGBACK_PORT": str(port),
        "RINGBACK_READY_FILE": str(paths.ready_file_of(name)),
        "RINGBACK_NATS_URL": f"nats://127.0.0.1:{nats}",
        "RINGBACK_STATE_DIR": str(state),
        "RINGBACK_MAC_KEYS_FILE": str(paths.mac_keys),
    }
    return ProgramSpec(
        name=name,
        argv=(sys.executable, "-m", "ringback_policy"),
        log_file=paths.log_of(name),
        env={**os.environ, **env, **more},
        ready_file=paths.ready_file_of(name),
        probe=grpc_serving(f"127.0.0.1:{port}"),
    )
