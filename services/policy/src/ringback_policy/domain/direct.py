"""Owns the answering of conditions that say nothing but how members compare with literals: they need no engine.

Most rules are of this kind: `facts.reservation.hours_since_booking >= 24.0 && !facts.reservation.airline_cancelled`. An
answer is given only where CEL and Python mean the same: every member is there and has exactly the type of the literal
that it is held against. A comprehension that is a whole condition is false of an empty list. For everything else,
errors included, the engine is asked.
"""

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ringback_policy.domain.conditions import Condition, tokens_of
from ringback_policy.domain.shapes import Choices, Members, Shape

__all__ = ["Direct"]

INTEGER_MAX = 2**63
DEPTH_MAX = 16
_ORDERED: dict[str, type[ast.cmpop]] = {"<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE}
_EQUAL: dict[str, type[ast.cmpop]] = {"==": ast.Eq, "!=": ast.NotEq}
_WORDS = {"true": True, "false": False}
_KNOWN = frozenset({"true", "false", "null", "in"})

_Answered = Callable[[Mapping[str, Any]], list[bool] | None]


class Direct:
    """Conditions in their order; an absent one is always true."""

    __slots__ = ("answers",)

    def __init__(self, conditions: Sequence[Condition | None]) -> None:
        """Reads them; one that is of another kind leaves all of them to the engine."""
        self.answers: _Answered = _asks_engine
        """One answer for each, over the variables by their roots; None when the engine must be asked."""
        reading = _Reading()
        try:
            answers = [ast.Constant(True) if c is None else reading.condition(c) for c in conditions]
        except _NotDirectError:
            return
        if answers:
            shape = Shape.of(condition.shape for condition in conditions if condition is not None)
            self.answers = _function(answers, reading, shape)


def _asks_engine(values: Mapping[str, Any]) -> list[bool] | None:
    return None


def _plain(value: Any) -> bool:
    kind = type(value)
    if kind is int:
        return bool(-INTEGER_MAX <= value < INTEGER_MAX)
    return kind is str or kind is bool or (kind is float and math.isfinite(value))


def _function(answers: list[ast.expr], reading: "_Reading", shape: Shape) -> _Answered:
    """One function that reads the members, holds them against their types and answers, from text that was made here.

    A decision meets its code cold: a line for each member costs less than a loop over them in several places.
    """
    lines = ["def answered(values):"]
    wanted = reading.types.keys() | reading.lists
    assert wanted <= {name for name, *_ in (*shape.flats, *shape.chosen)}, "a name that is no member"
    for owner, members in shape.groups:
        found = [(name, part) for name, part in members if name in wanted]
        if found:
            lines += _read(_at("values", owner), [(reading.variable(name), part) for name, part in found])
    for name, path, text in shape.chosen:
        variable = reading.variable(name)
        lines += _read(_at("values", path[:-1]), [(variable, path[-1])])
        lines.append(f"    if isinstance({variable}, Choices): {variable} = {variable}.chosen({text!r})")
    tests = [_test(reading.variable(name), kind) for name, kind in reading.types.items()]
    empty = "({0} == [] or _listed({0}) == [])"
    tests += [empty.format(reading.variable(name)) for name in sorted(reading.lists)]
    if tests:
        lines.append(f"    if not ({' and '.join(tests)}): return None")
    # What is not read must have a form in CEL all the same, or the conditions around it would fail.
    for name, path in shape.flats:
        if name in reading.others and name not in wanted:
            lines += [
                f"    try: value = {_at('values', path)}",
                "    except (LookupError, TypeError): value = ''",
                "    if type(value) is not str and not _plain(value): return None",
            ]
    lines.append(f"    return {ast.unparse(ast.List(answers, ast.Load()))}")
    made: dict[str, Any] = {}
    exec(compile("\n".join(lines), "<conditions>", "exec"), dict(_NAMES), made)
    answered: _Answered = made["answered"]
    return answered


def _read(owner: str, members: Sequence[tuple[str, str]]) -> list[str]:
    """Lines that give members of one owner their variables; without one of them there is no answer."""
    return [
        "    try:",
        f"        owner = {owner}",
        *[f"        {variable} = owner[{part!r}]" for variable, part in members],
        "    except (LookupError, TypeError): return None",
    ]


def _at(root: str, path: Sequence[str]) -> str:
    return root + "".join([f"[{part!r}]" for part in path])


def _test(variable: str, kind: type) -> str:
    """Whether the value is exactly of the type, and one that the engine takes."""
    bounds = {int: f" and {-INTEGER_MAX} <= {variable} < {INTEGER_MAX}", float: f" and isfinite({variable})"}
    return f"type({variable}) is {kind.__name__}{bounds.get(kind, '')}"


def _listed(value: Any) -> Any:
    return value.plain() if isinstance(value, Members) else value


class _NotDirectError(Exception):
    """The condition is of another kind."""


class _Reading:
    """Reads conditions by recursive descent, and notes what their variables must be."""

    def __init__(self) -> None:
        self.types: dict[str, type] = {}
        self.lists: set[str] = set()
        self.others: set[str] = set()
        self._variables: dict[str, str] = {}
        self._words: list[tuple[str, str]] = []
        self._at = 0

    def variable(self, name: str) -> str:
        """What the member is called in the function."""
        return self._variables.setdefault(name, f"value_{len(self._variables)}")

    def condition(self, condition: Condition) -> ast.expr:
        """The condition as an expression; raises _NotDirectError."""
        shape = condition.shape
        if shape.whole or "//" in condition.source:
            raise _NotDirectError
        self._words = [(token[0], token[1]) for token in tokens_of(condition.flat_source)]
        self._at = 0
        if self._is_comprehension():
            self.others |= {name for name, _ in shape.flats}
            self.lists.add(self._words[0][1])
            return ast.Constant(False)
        found = self._either(0)
        if self._at != len(self._words):
            raise _NotDirectError
        return found

    def _is_comprehension(self) -> bool:
        """`list.exists(…)` and nothing behind it."""
        texts = [text for _, text in self._words]
        if len(texts) < 8 or texts[1] != "." or texts[2] not in ("exists", "exists_one") or texts[3] != "(":
            return False
        depth = 0
        for at, text in enumerate(texts[3:], 3):
            depth += (text == "(") - (text == ")")
            if depth == 0:
                return at + 1 == len(texts)
        return False

    def _either(self, depth: int) -> ast.expr:
        parts = [self._both(depth)]
        while self._take("|", "|"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else ast.BoolOp(ast.Or(), parts)

    def _both(self, depth: int) -> ast.expr:
        parts = [self._not(depth)]
        while self._take("&", "&"):
            parts.append(self._not(depth))
        return parts[0] if len(parts) == 1 else ast.BoolOp(ast.And(), parts)

    def _not(self, depth: int) -> ast.expr:
        if depth > DEPTH_MAX:
            raise _NotDirectError
        if self._text() == "!" and self._text(1) != "=":
            self._at += 1
            return ast.UnaryOp(ast.Not(), self._not(depth + 1))
        if self._take("("):
            found = self._either(depth + 1)
            if not self._take(")"):
                raise _NotDirectError
            return found
        return self._compared()

    def _compared(self) -> ast.expr:
        """`member`, `member op literal` or `literal op member`."""
        left, name, kind = self._operand()
        operator = self._operator()
        if not operator:
            if name:
                self._hold(name, bool)
            elif kind is not bool:
                raise _NotDirectError
            return left
        right, other, kind_right = self._operand()
        if bool(name) == bool(other):
            raise _NotDirectError
        kind = kind_right if name else kind
        self._hold(name or other, kind)
        operators = _EQUAL | _ORDERED if kind in (int, float) else _EQUAL
        if operator not in operators:
            raise _NotDirectError
        return ast.Compare(left, [operators[operator]()], [right])

    def _operand(self) -> tuple[ast.expr, str, type]:
        """The expression, the variable's name if it is one, and the literal's type if it is one."""
        kind, text = self._words[self._at] if self._at < len(self._words) else ("", "")
        self._at += 1
        if kind == "name" and text not in _KNOWN:
            return ast.Name(self.variable(text), ast.Load()), text, bool
        value = _literal(kind, text)
        return ast.Constant(value), "", type(value)

    def _operator(self) -> str:
        first, second = self._text(), self._text(1)
        if first in ("=", "!", "<", ">") and second == "=":
            self._at += 2
            return first + second
        if first in ("<", ">"):
            self._at += 1
            return first
        return ""

    def _hold(self, name: str, kind: type) -> None:
        if self.types.setdefault(name, kind) is not kind:
            raise _NotDirectError

    def _text(self, ahead: int = 0) -> str:
        kind, text = self._words[self._at + ahead] if self._at + ahead < len(self._words) else ("", "")
        return text if kind == "mark" else ""

    def _take(self, *marks: str) -> bool:
        if any(self._text(ahead) != mark for ahead, mark in enumerate(marks)):
            return False
        self._at += len(marks)
        return True


def _literal(kind: str, text: str) -> str | int | float | bool:
    if kind == "name" and text in _WORDS:
        return _WORDS[text]
    if kind == "string" and text[0] in "\"'" and "\\" not in text:
        return text[1:-1]
    if kind == "number" and text.isdecimal() and len(text) < 19:
        return int(text)
    if kind == "number" and text.replace(".", "", 1).isdecimal() and "." in text:
        return float(text)
    raise _NotDirectError


_NAMES: dict[str, Any] = {
    "__builtins__": {},
    **{kind.__name__: kind for kind in (str, int, float, bool, type, LookupError, TypeError, Choices)},
    **{"isinstance": isinstance, "isfinite": math.isfinite, "_listed": _listed, "_plain": _plain},
}
