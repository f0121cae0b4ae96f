"""Owns where the questions of a replay come from: a file, the audit with its recorded inputs, or the inputs alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.json_format import ParseDict, ParseError
from ringback.policy.v1 import policy_pb2 as pb
from ringback.policy.v1 import policy_pb2_grpc
from ringback_errors import InvalidInput, NotFound
from typer import Exit

from ringback_cli.audited import RECORDING, Audited, read_audited
from ringback_cli.commands.connection import find_stack
from ringback_cli.commands.policy_admin import TIMEOUT_S, ask
from ringback_cli.commands.running import run
from ringback_cli.console import console
from ringback_cli.recorded import read_questions

__all__ = ["QUESTIONS_MAX", "Source"]

QUESTIONS_MAX = 2_000


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a command was told of them; without a file and a source they are what the replica decided lately."""

    pack: str
    file: Path | None
    taken_from: str
    """`audit`, `recorded` or a file."""
    last: int
    nats_url: str
    policy: str

    def read(self) -> tuple[list[pb.DecideRequest], Audited | None]:
        """The questions, and what the audit says of them where they come from it.

        Exit code 1 where the audit cannot be trusted; raises NotFound where it leads to no input, and InvalidInput.
        """
        if self.file and self.taken_from:
            raise InvalidInput("expected without --questions", field="--from")
        if self.taken_from == "audit":
            audited = _audited(self)
            return list(audited.questions), audited
        if self.taken_from == "recorded":
            return _recorded(self), None
        return list(_questions(Path(self.taken_from) if self.taken_from else self.file)), None


def _recorded(source: Source) -> list[pb.DecideRequest]:
    found = run(read_questions(source.nats_url or find_stack().nats_url, source.pack, last=source.last))
    if not found:
        raise NotFound(
            "no recorded questions about this pack: start policy with RINGBACK_RECORD_DECISIONS=true",
            field="--from",
        )
    return found


def _audited(source: Source) -> Audited:
    """What the audit knows of the pack's decisions."""

    async def bundles(stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub) -> set[str]:
        found = await stub.ListBundles(pb.ListBundlesRequest(), timeout=TIMEOUT_S)
        return {bundle.bundle_digest for bundle in found.bundles if bundle.pack == source.pack}

    of_pack = ask(source.policy, bundles)
    audited = run(
        read_audited(source.nats_url or find_stack().nats_url, source.pack, of_pack, last=source.last)
    )
    for line in audited.said():
        console.print(line, markup=False)
    for problem in audited.breaks:
        console.print(f"broken: {problem}", style="red", markup=False)
    if audited.breaks:
        raise Exit(1)
    if not audited.questions:
        raise NotFound(
            f"no audited decision about this pack has a recorded input: {RECORDING}", field="--from"
        )
    return audited


def _questions(path: Path | None) -> Iterator[pb.DecideRequest]:
    for number, line in enumerate(_lines(path) if path else (), 1):
        try:
            yield ParseDict(json.loads(line), pb.DecideRequest())
        except (ValueError, ParseError) as error:
            raise InvalidInput(f"expected a DecideRequest: {error}", field=f"{path}:{number}") from None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        raise InvalidInput("expected a file that can be read", field=str(path)) from None
