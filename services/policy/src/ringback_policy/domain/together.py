"""Owns the asking of many conditions at once: a call of the engine for all of them costs little more than one for one.

The answers are those that the conditions give one by one. Where at least one has none (a missing value, a wrong type),
there are none together, and each is asked by itself so that its own fallback can be taken.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cel

from ringback_policy.domain.conditions import (
    Condition,
    ConditionError,
    ConditionSyntaxError,
    Environment,
    compiled,
    of_the_engine,
)
from ringback_policy.domain.direct import Direct
from ringback_policy.domain.shapes import Shape

__all__ = ["Together"]

# One expression stays small: the engine's parser descends into it.
CONDITIONS_MAX = 64


class Together:
    """Conditions in their order; an absent one is always true."""

    __slots__ = ("_direct", "_programs", "_shape")

    def __init__(self, conditions: Sequence[Condition | None] = ()) -> None:
        """Compiles; conditions that the engine does not take together stay apart."""
        self._shape = Shape.of(condition.shape for condition in conditions if condition is not None)
        self._direct = Direct(conditions)
        self._programs: tuple[Callable[[Any], Any], ...] = ()
        if len(conditions) < 2:
            return
        parts = [conditions[at : at + CONDITIONS_MAX] for at in range(0, len(conditions), CONDITIONS_MAX)]
        programs = [_compiled(part) for part in parts]
        self._programs = tuple(program for program in programs if program is not None)
        if len(self._programs) < len(parts):
            self._programs = ()

    def answers(self, values: Mapping[str, Any]) -> list[bool] | None:
        """One answer for each; None when they must be asked one by one."""
        found = self._direct.answers(values)
        if found is not None or not self._programs:
            return found
        try:
            return self._from_engine(cel.Context(self._shape.read(values)))
        except BaseException as error:
            if not of_the_engine(error):
                raise
            return None

    def environment(self, values: Mapping[str, Any]) -> Environment:
        """What each is asked over by itself."""
        try:
            return Environment(values, self._shape)
        except ConditionError:
            # One value that has no form must not take the other conditions with it: each finds its own.
            return Environment(values)

    def _from_engine(self, context: Any) -> list[bool] | None:
        found: list[bool] = []
        for execute in self._programs:
            found += execute(context)
        return found if all(answer is True or answer is False for answer in found) else None


def _compiled(conditions: Sequence[Condition | None]) -> Callable[[Any], Any] | None:
    # Each ends with its line: a comment at the end of one must not hide the next.
    members = [f"({condition.flat_source}\n)" if condition else "true" for condition in conditions]
    try:
        execute: Callable[[Any], Any] = compiled(f"[{', '.join(members)}]").execute
    except ConditionSyntaxError:
        return None
    return execute
