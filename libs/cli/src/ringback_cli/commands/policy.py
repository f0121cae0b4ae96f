"""`ringback policy`: a bundle's way from its author to all sessions, and the audit of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from ringback.events.v1 import events_pb2
from ringback.policy.v1 import policy_pb2 as pb
from ringback.policy.v1 import policy_pb2_grpc
from ringback_errors import NotFound
from ringback_packs import load_pack

from ringback_cli.audit import read_audit
from ringback_cli.audited import Audited
from ringback_cli.commands.acting import one_line, operator
from ringback_cli.commands.connection import find_stack
from ringback_cli.commands.policy_admin import TIMEOUT_S, ask
from ringback_cli.commands.policy_gates import GATE_CHARS_MAX, tell_gate_failed
from ringback_cli.commands.policy_questions import QUESTIONS_MAX, Source
from ringback_cli.commands.running import run
from ringback_cli.console import console
from ringback_cli.stack.provision import publish_bundle

__all__ = ["app"]

app = typer.Typer(help="Check bundles, roll them out, read the audit.", no_args_is_help=True)

QUESTIONS_A_CALL_MAX = 500
CHANGES_PRINTED_MAX = 20
Pack = Annotated[str, typer.Argument(help="The pack, such as airline.")]
Bundle = Annotated[Path, typer.Argument(help="The folder of a bundle, or of its pack: packs/airline.")]
Address = Annotated[str, typer.Option("--policy", help="policy's host:port; default: the stack under ./var.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the audit.")]
Revision = Annotated[
    int | None,
    typer.Option(help="The revision that you looked at; default: the one that `status` shows now.", min=0),
]
Questions = Annotated[
    Path | None,
    typer.Option(help="JSON lines of DecideRequest; default: what the answering replica decided lately."),
]
From = Annotated[
    str,
    typer.Option(
        "--from",
        help="'audit': every decision that the audit knows, with its recorded input; 'recorded': the recorded "
        "inputs alone (RINGBACK_RECORD_DECISIONS); else a file as --questions.",
    ),
]
Last = Annotated[int, typer.Option(help="Of the audited or recorded ones the last so many.", min=1)]
Nats = Annotated[str, typer.Option(help="NATS server; default: the stack under ./var.")]


@app.command()
def check(bundle: Bundle) -> None:
    """Compile a bundle: errors and warnings with file, line and rule."""
    _author("check", _folder(bundle))


@app.command("test")
def run_cases(
    bundle: Bundle,
    untested_fails: Annotated[bool, typer.Option(help="Fail when a rule fires in no case.")] = False,
) -> None:
    """Run a bundle's own cases and print how often each rule fired."""
    _author("test", _folder(bundle), *(["--untested-fails"] if untested_fails else []))


@app.command()
def explain(
    bundle: Bundle,
    case: Annotated[str, typer.Option(help="Only cases whose name contains this.")] = "",
) -> None:
    """Show why each case came out as it did, rule by rule."""
    _author("explain", _folder(bundle), "--case", case)


@app.command()
def status(pack: Pack, policy: Address = "") -> None:
    """Where a pack's rollout stands."""

    async def do(stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub) -> pb.Rollout:
        rollout = await _rollout(stub, pack)
        if not rollout.revision:
            await _known(stub, pack)
        return rollout

    _print(ask(policy, do))


@app.command()
def stage(
    folder: Annotated[
        Path, typer.Argument(help="The pack's folder, such as packs/airline.", file_okay=False)
    ],
    tightening: Annotated[
        bool, typer.Option(help="Ask that it reach running sessions when promoted.")
    ] = False,
    reason: Reason = "staged by hand",
    revision: Revision = None,
    policy: Address = "",
) -> None:
    """Publish the bundle of a pack's folder and make it the candidate; no session gets it yet."""
    pack = load_pack(folder)

    async def do(stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub) -> pb.Rollout:
        digest, warnings = await publish_bundle(stub, pack)
        for warning in warnings:
            console.print(f"warning {warning}", markup=False)
        request = pb.StageBundleRequest(bundle_digest=digest, tightening=tightening)
        await _order(stub, request, pack.name, reason, revision)
        return (await stub.StageBundle(request, timeout=TIMEOUT_S)).rollout

    _print(ask(policy, do))


@app.command()
def canary(
    pack: Pack,
    percent: Annotated[float, typer.Option(help="Share of new sessions, 0.01 to 100.")],
    tenant: Annotated[list[str] | None, typer.Option(help="Only this tenant's sessions; repeatable.")] = None,
    reason: Reason = "canary by hand",
    revision: Revision = None,
    policy: Address = "",
) -> None:
    """Give the candidate to a share of new sessions, always the same ones."""

    async def do(stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub) -> pb.Rollout:
        request = pb.StartCanaryRequest(percent=percent, tenants=tenant or [])
        await _order(stub, request, pack, reason, revision)
        return (await stub.StartCanary(request, timeout=TIMEOUT_S)).rollout

    _print(ask(policy, do))


@app.command()
def promote(
    pack: Pack,
    questions: Questions = None,
    recorded_from: From = "",
    last: Last = QUESTIONS_A_CALL_MAX,
    nats_url: Nats = "",
    reason: Reason = "promoted by hand",
    revision: Revision = None,
    policy: Address = "",
) -> None:
    """Make the candidate the active bundle; a tightening one must not be laxer on the recorded questions."""
    source = Source(
        pack=pack, file=questions, taken_from=recorded_from, last=last, nats_url=nats_url, policy=policy
    )
    found, _ = source.read()
    recorded = found[-QUESTIONS_A_CALL_MAX:]
    if len(found) > len(recorded):
        console.print(f"the last {len(recorded)} of {len(found)} questions are asked", markup=False)

    async def do(stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub) -> pb.Rollout:
        request = pb.PromoteBundleRequest(questions=recorded)
        await _order(stub, request, pack, reason, revision)
        return (await stub.PromoteBundle(request, timeout=TIMEOUT_S)).rollout

    _print(ask(policy, do))


@app.command()
def rollback(
    pack: Pack, reason: Reason = "rolled back by hand", revision: Revision = None, policy: Address = ""
) -> None:
    """Drop the candidate; without one, return to the bundle that was active before."""

    async def do(stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub) -> pb.Rollout:
        request = pb.RollbackBundleRequest()
        await _order(stub, request, pack, reason, revision)
        return (await stub.RollbackBundle(request, timeout=TIMEOUT_S)).rollout

    _print(ask(policy, do))


@app.command("gate-failed")
def gate_failed(
    pack: Pack,
    gate: Annotated[str, typer.Option(help="The quality gate, such as completion.")],
    reason: Annotated[str, typer.Option(help="What it found, such as '0.71 < 0.80'; kept in the audit.")],
    bundle: Annotated[
        str, typer.Option(help="Digest of the bundle that was measured; default: the candidate.")
    ] = "",
    nats_url: Nats = "",
    policy: Address = "",
) -> None:
    """Tell policy that a canary failed a quality gate; the second time policy rolls the canary back."""
    failed = events_pb2.GateFailed(
        gate=one_line(gate, field="--gate", chars_max=GATE_CHARS_MAX),
        reason=one_line(reason, field="--reason"),
        bundle_digest=bundle,
        actor=operator(),
    )

    async def do(stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub) -> pb.Rollout:
        return await tell_gate_failed(stub, pack, failed, nats_url=nats_url or find_stack().nats_url)

    rollout = ask(policy, do)
    _print(rollout)
    if failed.bundle_digest not in (rollout.candidate_digest, rollout.active_digest):
        console.print("the canary was rolled back", style="yellow")


@app.command()
def diff(
    pack: Pack,
    questions: Questions = None,
    recorded_from: From = "",
    last: Last = QUESTIONS_MAX,
    nats_url: Nats = "",
    base: Annotated[str, typer.Option(help="Digest to compare with; default: the active one.")] = "",
    candidate: Annotated[str, typer.Option(help="Digest to look at; default: the candidate.")] = "",
    questions_min: Annotated[
        int,
        typer.Option(help="Exit code 1 when fewer questions were asked; 0: none is needed.", min=0),
    ] = 1,
    changed_max: Annotated[
        int, typer.Option(help="Exit code 1 when more decisions change; -1: any number.")
    ] = -1,
    laxer_max: Annotated[int, typer.Option(help="Exit code 1 when more decisions get laxer; -1: any.")] = 0,
    unrecorded_max: Annotated[
        int, typer.Option(help="Exit code 1 when more audited decisions have no recorded input; -1: any.")
    ] = -1,
    policy: Address = "",
) -> None:
    """Ask both bundles the same recorded questions and list every decision that differs, grouped by rule."""
    source = Source(
        pack=pack, file=questions, taken_from=recorded_from, last=last, nats_url=nats_url, policy=policy
    )
    recorded, audited = source.read()

    async def do(stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub) -> list[pb.DiffBundlesResponse]:
        found = []
        for start in range(0, max(len(recorded), 1), QUESTIONS_A_CALL_MAX):
            part = recorded[start : start + QUESTIONS_A_CALL_MAX]
            request = pb.DiffBundlesRequest(
                pack=pack, base_digest=base, candidate_digest=candidate, questions=part
            )
            found.append(await stub.DiffBundles(request, timeout=TIMEOUT_S))
        return found

    parts = ask(policy, do)
    changed, laxer = sum(part.changed for part in parts), sum(part.laxer for part in parts)
    console.print(f"base      {parts[0].base_digest}\ncandidate {parts[0].candidate_digest}", markup=False)
    _print_changes([change for part in parts for change in part.changes], audited)
    total = sum(part.questions for part in parts)
    console.print(f"{total} questions, {changed} decisions change, {laxer} of them laxer", markup=False)
    if not total:
        console.print("nothing was compared: no question was asked", style="yellow")
    elif total < questions_min:
        console.print(f"too little was compared: expected at least {questions_min} questions", style="yellow")
    unrecorded = audited.unrecorded if audited else 0
    passed = (changed_max, changed), (laxer_max, laxer), (unrecorded_max, unrecorded)
    if total < questions_min or any(0 <= most < found for most, found in passed):
        raise typer.Exit(1)


@app.command()
def audit(
    kind: Annotated[
        Literal["decision", "consent", "change"] | None, typer.Option(help="Only entries of this kind.")
    ] = None,
    last: Annotated[int, typer.Option(help="Print the last so many; 0: all.", min=0)] = 20,
    nats_url: Nats = "",
) -> None:
    """Read the audit and verify its hash chains. Exit code 1: a chain is broken."""
    found = run(read_audit(nats_url or find_stack().nats_url))
    lines = [line for own, line in found.lines if not kind or own == kind]
    for line in lines[-last:] if last else lines:
        console.print(line, markup=False)
    chains = "1 chain" if found.chains == 1 else f"{found.chains} chains"
    console.print(f"{len(found.lines)} entries in {chains}", markup=False)
    for problem in found.breaks:
        console.print(f"broken: {problem}", style="red", markup=False)
    if found.breaks:
        raise typer.Exit(1)
    console.print("every chain holds", style="green")


def _folder(given: Path) -> str:
    """A bundle's folder; of a pack's the one that its pack.yaml stands beside."""
    return str(given / "bundle" if (given / "pack.yaml").is_file() else given)


def _author(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "ringback_policy", *arguments], check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)


async def _rollout(stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub, pack: str) -> pb.Rollout:
    return (await stub.GetRollout(pb.GetRolloutRequest(pack=pack), timeout=TIMEOUT_S)).rollout


async def _known(stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub, pack: str) -> None:
    """Raises NotFound for a pack of which policy holds no bundle."""
    listed = (await stub.ListBundles(pb.ListBundlesRequest(), timeout=TIMEOUT_S)).bundles
    packs = sorted({bundle.pack for bundle in listed})
    if pack not in packs:
        raise NotFound(f"policy has no bundle of pack {pack}; it has those of: {', '.join(packs) or 'none'}")


async def _order(
    stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub,
    request: pb.StageBundleRequest
    | pb.StartCanaryRequest
    | pb.PromoteBundleRequest
    | pb.RollbackBundleRequest,
    pack: str,
    reason: str,
    revision: int | None,
) -> None:
    """Who, why, and what was looked at."""
    request.pack, request.actor, request.reason = pack, operator(), reason
    request.expected_revision = (await _rollout(stub, pack)).revision if revision is None else revision


def _print(rollout: pb.Rollout) -> None:
    tenants = f" of {', '.join(rollout.canary_tenants)}" if rollout.canary_tenants else ""
    share = (
        f"{rollout.canary_percent:g} % of new sessions{tenants}" if rollout.canary_percent else "staged only"
    )
    rows = [
        ("active", rollout.active_digest or "none"),
        ("candidate", f"{rollout.candidate_digest}  {share}" if rollout.candidate_digest else "none"),
        ("previous", rollout.previous_digest or "none"),
        ("tightening", "yes" if rollout.tightening else "no"),
        ("gates failed", str(rollout.gates_failed)),
        ("revision", str(rollout.revision)),
    ]
    console.print(f"pack {rollout.pack}", markup=False)
    for name, text in rows:
        console.print(f"  {name:<13}{text}", markup=False)


def _print_changes(changes: list[pb.DecisionChange], audited: Audited | None) -> None:
    groups: dict[str, list[pb.DecisionChange]] = {}
    for change in changes:
        before, after = change.rule_before or "(needs facts)", change.rule_after or "(needs facts)"
        title = f"{before} → {after}: {_effect(change.before)} → {_effect(change.after)}"
        groups.setdefault(title, []).append(change)
    for title, own in sorted(groups.items(), key=lambda group: -len(group[1])):
        console.print(f"{len(own):>6}  {title}", style="bold", markup=False)
        for change in own[:CHANGES_PRINTED_MAX]:
            laxer = "  laxer" if change.laxer else ""
            otherwise = audited.otherwise(change) if audited else ""
            then = f"  (when it was decided: {otherwise})" if otherwise else ""
            console.print(f"        {change.decision_id} {change.tool}{laxer}{then}", markup=False)
        if len(own) > CHANGES_PRINTED_MAX:
            console.print(f"        and {len(own) - CHANGES_PRINTED_MAX} more", markup=False)


def _effect(effect: pb.Effect.ValueType) -> str:
    return pb.Effect.Name(effect).removeprefix("EFFECT_").lower().replace("unspecified", "needs facts")
