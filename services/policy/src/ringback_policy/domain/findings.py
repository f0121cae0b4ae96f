"""Owns what a broken bundle looks like to its author: findings with file, line, rule and what was expected.

ValueError
└── BrokenBundleError    the bundle has findings and is not used
"""

from collections.abc import Sequence

import msgspec

__all__ = ["BrokenBundleError", "Finding", "Findings"]

FINDINGS_MAX = 100


class Finding(msgspec.Struct, frozen=True, order=True):
    """One thing wrong; `line` counts from 1, 0 when the file as a whole is meant."""

    file: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        rule = f" rule {self.rule}:" if self.rule else ""
        return f"{place}:{rule} {self.message}"


class BrokenBundleError(ValueError):
    """A bundle that does not compile."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(str(finding) for finding in self.findings))


class Findings:
    """Collects errors and warnings while a bundle is read; bounded, so that a hostile file cannot fill memory."""

    def __init__(self) -> None:
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []

    def error(self, file: str, line: int, message: str, *, rule: str = "") -> None:
        """Records something that makes the bundle unusable."""
        if len(self.errors) < FINDINGS_MAX:
            self.errors.append(Finding(file, line, rule, message))

    def warn(self, file: str, line: int, message: str, *, rule: str = "") -> None:
        """Records something that the author should look at."""
        if len(self.warnings) < FINDINGS_MAX:
            self.warnings.append(Finding(file, line, rule, message))

    def raise_if_broken(self) -> None:
        """Raises BrokenBundleError when there is any error."""
        if self.errors:
            raise BrokenBundleError(sorted(self.errors))
