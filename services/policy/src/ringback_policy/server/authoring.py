"""The author's command: check a bundle folder, run its own tests, explain its cases. It needs no server.

python -m ringback_policy check packs/airline/bundle
python -m ringback_policy test packs/airline/bundle --untested-fails
python -m ringback_policy explain packs/airline/bundle --case "a fresh booking"
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ringback_errors import InvalidInput

from ringback_policy.domain.casebook import Casebook, CaseResult, run_cases
from ringback_policy.domain.compiling import Compiled, compile_bundle
from ringback_policy.domain.findings import BrokenBundleError
from ringback_policy.ports import ValueSpeaker

__all__ = ["main"]

EXIT_BROKEN = 1
EXIT_USAGE = 2


def main(argv: Sequence[str], *, speaker: ValueSpeaker) -> int:
    """Runs one command; 0 when all is well, 1 for findings or failed cases, 2 for a wrong call."""
    parser = argparse.ArgumentParser(
        prog="python -m ringback_policy", description="Check, test and explain a policy bundle."
    )
    parser.add_argument("command", choices=("check", "test", "explain"))
    parser.add_argument("bundle", type=Path, help="folder with the four files and, if any, tests/*.yaml")
    parser.add_argument("--untested-fails", action="store_true", help="fail when a rule fires in no case")
    parser.add_argument("--case", default="", help="explain only cases whose name contains this")
    given = parser.parse_args(argv)
    if not given.bundle.is_dir():
        print(f"{given.bundle}: expected a folder", file=sys.stderr)
        return EXIT_USAGE
    files = _files(given.bundle)
    try:
        compiled = compile_bundle(files, pack=given.bundle.resolve().parent.name)
        book = run_cases(compiled.bundle, files, renderer=speaker)
    except BrokenBundleError as broken:
        for finding in broken.findings:
            print(finding)
        return EXIT_BROKEN
    except InvalidInput as error:
        print(error)
        return EXIT_BROKEN
    match given.command:
        case "check":
            return _check(compiled)
        case "test":
            return _test(book, untested_fails=given.untested_fails)
        case _:
            return _explain(book, given.case)


def _files(folder: Path) -> dict[str, bytes]:
    # Also those whose name is almost right: a file that nobody reads would be no rule at all.
    paths = [path for part in (folder, folder / "tests") for path in part.glob("*.y*ml")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _check(compiled: Compiled) -> int:
    for warning in compiled.warnings:
        print(f"warning: {warning}")
    bundle = compiled.bundle
    counted = {"rule": bundle.rules, "action": bundle.actions, "fact": bundle.facts}
    words = [f"{len(found)} {word}{'s' * (len(found) != 1)}" for word, found in counted.items()]
    print(f"{bundle.digest}: {', '.join(words)}")
    return 0


def _test(book: Casebook, *, untested_fails: bool) -> int:
    for result in book.failed:
        print(f"{result.file}:{result.line}: {result.name}: {result.problem}")
    for rule, count in book.fired.items():
        print(f"{count:6d}  {rule}")
    untested = f"{len(book.untested)} of {len(book.fired)} rules untested"
    print(f"{len(book.results)} cases, {len(book.failed)} failed, {untested}")
    return EXIT_BROKEN if book.failed or (untested_fails and book.untested) else 0


def _explain(book: Casebook, name: str) -> int:
    found = [result for result in book.results if name in result.name]
    for result in found:
        _print_case(result)
    if not found:
        names = "; ".join(result.name for result in book.results)
        print(
            f"no case has {name!r} in its name: expected one of {names or 'tests/*.yaml, which are missing'}"
        )
    return 0 if found else EXIT_BROKEN


def _print_case(result: CaseResult) -> None:
    decision = result.explanation.decision
    effect = decision.effect.name if decision.effect else "NEEDS FACTS"
    print(f"{result.name}: {effect} by {decision.rule or '-'}: {decision.reason}")
    for step in result.explanation.steps:
        print(f"  {step.said:15} {step.effect:8} {step.layer}/{step.rule}: {step.detail}")
