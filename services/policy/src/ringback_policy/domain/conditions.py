"""Owns conditions: CEL expressions, checked before use, evaluated to true, false or a stated error.

The engine is the Rust `cel` crate from the wheel `common-expression-language`. It parses and evaluates but does not
check types, so references are read from the source here and held against the declared variables; what remains
(a missing key, a wrong type, NaN, overflow) raises at evaluation and becomes ConditionError.

Exception
├── ValueError
│   └── ConditionSyntaxError    the expression is refused, with what was expected
└── ConditionError              evaluation failed; the rule's declared fallback holds
"""

import re
from collections.abc import Mapping
from typing import Any

import cel

__all__ = ["EXPRESSION_CHARS_MAX", "Condition", "ConditionError", "ConditionSyntaxError", "Environment"]

EXPRESSION_CHARS_MAX = 2000
# Each goes once through a list of the view or of a bounded JSON text; one inside another would go through its square.
COMPREHENSIONS_MAX = 3

_TOKEN = re.compile(
    r"""(?P<string>[rRbB]{0,2}(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))"""
    r"""|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?u?)"""
    r"""|(?P<name>[A-Za-z_]\w*)|(?P<mark>[^\s\w])"""
)
_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
_WORDS = frozenset({"true", "false", "null", "in"})
_FUNCTIONS = frozenset(
    {
        *(
            "size",
            "has",
            "contains",
            "startsWith",
            "endsWith",
            "matches",
            "double",
            "string",
            "int",
            "uint",
            "bool",
        ),
        *("timestamp", "duration", "type", "dyn", "getFullYear", "getMonth", "getDate", "getDayOfMonth"),
        *("getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds"),
        *("all", "exists", "exists_one", "map", "filter"),
    }
)

Path = tuple[str, ...]


class ConditionSyntaxError(ValueError):
    """An expression that is not accepted."""


class ConditionError(Exception):
    """An expression that could not be evaluated over these values."""


class Environment:
    """Variables in the engine's form, converted once and read by any number of conditions."""

    __slots__ = ("_context",)

    def __init__(self, variables: Mapping[str, Any]) -> None:
        try:
            self._context = cel.Context(dict(variables))
        except (TypeError, ValueError, OverflowError) as error:
            raise ConditionError(f"a value has no form in CEL: {error}") from None

    @property
    def context(self) -> Any:
        """The engine's own context."""
        return self._context


class Condition:
    """One compiled expression and the variables it reads, as paths: `facts.reservation.status`."""

    __slots__ = ("_program", "path", "paths", "source")

    def __init__(self, source: str) -> None:
        """Compiles; raises ConditionSyntaxError."""
        if len(source) > EXPRESSION_CHARS_MAX:
            raise ConditionSyntaxError(
                f"expected at most {EXPRESSION_CHARS_MAX} characters, got {len(source)}"
            )
        tokens = [(match.lastgroup or "", match.group()) for match in _TOKEN.finditer(source)]
        loops = sum(1 for kind, text in tokens if kind == "name" and text in _MACROS)
        if loops > COMPREHENSIONS_MAX:
            raise ConditionSyntaxError(f"expected at most {COMPREHENSIONS_MAX} comprehensions, got {loops}")
        if _nested(tokens):
            raise ConditionSyntaxError(
                "expected no comprehension inside another: its cost would have no bound"
            )
        self.source = source
        self._program = _compile(source)
        unknown = set(self._program.functions()) - _FUNCTIONS
        unknown = {name for name in unknown if name.isidentifier()}
        if unknown:
            raise ConditionSyntaxError(
                f"unknown function {min(unknown)!r}; known are the CEL standard functions"
            )
        self.paths = _paths(tokens)
        only = next(iter(self.paths), ())
        # The path, when the expression is nothing else: then it need not go through the engine.
        self.path: Path | None = only if ".".join(only) == source.strip() else None

    def value(self, environment: Environment) -> Any:
        """The expression's value; raises ConditionError."""
        try:
            return self._program.execute(environment.context)
        except KeyError as error:
            raise ConditionError(f"missing value {error}") from None
        except Exception as error:
            raise ConditionError(str(error).split(":", 1)[0][:120]) from None
        except BaseException as error:  # a panic of the engine must not end the service
            if type(error).__name__ != "PanicException":
                raise
            raise ConditionError("the engine panicked") from None

    def holds(self, environment: Environment) -> bool:
        """Whether it is true; raises ConditionError, also when the value is no boolean."""
        value = self.value(environment)
        if value is True or value is False:
            return value
        raise ConditionError(f"expected a boolean, got {type(value).__name__}")


def _nested(tokens: list[tuple[str, str]]) -> bool:
    """Whether a comprehension stands in the parentheses of another."""
    open_loops: list[int] = []
    depth = 0
    for at, (kind, text) in enumerate(tokens):
        if kind == "name" and text in _MACROS and _mark(tokens, at + 1) == "(":
            if open_loops:
                return True
            open_loops.append(depth)
        elif kind == "mark" and text in "([{":
            depth += 1
        elif kind == "mark" and text in ")]}":
            depth -= 1
            if open_loops and depth <= open_loops[-1]:
                open_loops.pop()
    return False


def _compile(source: str) -> Any:
    try:
        return cel.compile(source)
    except ValueError as error:
        lines = str(error).splitlines()
        detail = next((line for line in lines if "ERROR" in line), lines[0]).split("Syntax error: ")[-1]
        raise ConditionSyntaxError(f"expected a CEL expression: {detail[:200]}") from None
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise ConditionSyntaxError("expected a CEL expression that the engine accepts") from None
        raise


def _paths(tokens: list[tuple[str, str]]) -> frozenset[Path]:
    bound = {
        tokens[at + 2][1]
        for at in range(len(tokens) - 3)
        if tokens[at][1] in _MACROS and tokens[at + 1][1] == "(" and tokens[at + 3][1] == ","
    }
    found: set[Path] = set()
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        is_start = kind == "name" and (at == 0 or tokens[at - 1][1] != ".")
        if not is_start or text in _WORDS or text in bound or _mark(tokens, at + 1) == "(":
            at += 1
            continue
        path, at = _path_from(tokens, at)
        found.add(path)
    return frozenset(found)


def _path_from(tokens: list[tuple[str, str]], at: int) -> tuple[Path, int]:
    names = [tokens[at][1]]
    at += 1
    while at < len(tokens):
        if _mark(tokens, at) == "." and at + 1 < len(tokens) and tokens[at + 1][0] == "name":
            if _mark(tokens, at + 2) == "(":
                break
            names.append(tokens[at + 1][1])
            at += 2
        elif _mark(tokens, at) == "[" and _mark(tokens, at + 2) == "]" and tokens[at + 1][0] == "string":
            names.append(tokens[at + 1][1].strip("\"'"))
            at += 3
        else:
            break
    return tuple(names), at


def _mark(tokens: list[tuple[str, str]], at: int) -> str:
    return tokens[at][1] if at < len(tokens) and tokens[at][0] == "mark" else ""
