"""What is wrong with a pack, and where: file, line, field, what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ringback_errors import InvalidInput

__all__ = ["Finding", "PackError", "Report"]

FINDINGS_MAX = 200
SHOWN_MAX = 40


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong (error: the pack does not load) or doubtful (warning)."""

    file: str
    # 1 for the first line; 0 when the file as a whole is meant.
    line: int
    # Path of the field, such as `tools[0].retry.base_ms`; empty for the whole file.
    field: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.field + ': ' if self.field else ''}{self.message}"


class PackError(InvalidInput):
    """The pack does not load; `findings` tells all that was found, warnings included."""

    def __init__(self, name: str, findings: Iterable[Finding]) -> None:
        self.name = name
        self.findings = tuple(findings)
        errors = [finding for finding in self.findings if finding.severity == "error"]
        lines = [str(finding) for finding in errors[:SHOWN_MAX]]
        if len(errors) > SHOWN_MAX:
            lines.append(f"… and {len(errors) - SHOWN_MAX} more")
        plural = "" if len(errors) == 1 else "s"
        super().__init__(
            f"pack {name}: {len(errors)} error{plural}\n" + "\n".join(f"  {line}" for line in lines)
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (PackError, (self.name, self.findings))


class Report:
    """Collects findings while a pack is read, up to a bound."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, by file and line."""
        return tuple(sorted(self._findings, key=lambda finding: (finding.file, finding.line)))

    @property
    def failed(self) -> bool:
        """Whether there is an error among them."""
        return any(finding.severity == "error" for finding in self._findings)

    def error(self, file: str, line: int, field: str, message: str) -> None:
        """Note something that keeps the pack from loading."""
        if len(self._findings) < FINDINGS_MAX:
            self._findings.append(Finding(file, line, field, message))

    def warning(self, file: str, line: int, field: str, message: str) -> None:
        """Note something doubtful."""
        if len(self._findings) < FINDINGS_MAX:
            self._findings.append(Finding(file, line, field, message, "warning"))


def near(word: str, known: Sequence[str]) -> str:
    """Return ` (did you mean …?)` if a known word is close, else nothing."""
    close = difflib.get_close_matches(word[:64], known, n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""
