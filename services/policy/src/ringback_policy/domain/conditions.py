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
from collections.abc import Iterable, Mapping
from typing import Any

import cel

from ringback_policy.domain.narrowing import narrowed, narrowed_name
from ringback_policy.domain.shapes import Path, Shape, flat_name
from ringback_policy.domain.suggesting import perhaps

__all__ = [
    "EXPRESSION_CHARS_MAX",
    "Condition",
    "ConditionError",
    "ConditionSyntaxError",
    "Environment",
    "compiled",
    "of_the_engine",
    "tokens_of",
]

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


class ConditionSyntaxError(ValueError):
    """An expression that is not accepted."""


class ConditionError(Exception):
    """An expression that could not be evaluated over these values."""


class Environment:
    """Variables in the engine's form, converted once and read by any number of conditions."""

    __slots__ = ("covered", "engine", "values")

    def __init__(self, variables: Mapping[str, Any], shape: Shape | None = None) -> None:
        """Converts what this shape reads; what else a condition reads is converted when it is evaluated."""
        self.values = variables
        self.covered: frozenset[str] = frozenset()
        """The expressions whose variables are there."""
        self.engine: Any = None
        """The engine's own context."""
        if shape is not None:
            self.cover(shape)

    def cover(self, shape: Shape) -> None:
        """Converts what this shape reads; raises ConditionError."""
        try:
            found = shape.read(self.values)
            if self.engine is None:
                self.engine = cel.Context(found)
            else:
                self.engine.update(found)
        except (TypeError, ValueError, OverflowError) as error:
            raise ConditionError(f"a value has no form in CEL: {error}") from None
        self.covered = self.covered | shape.sources if self.covered else shape.sources


class Condition:
    """One compiled expression and the variables it reads, as paths: `facts.reservation.status`."""

    __slots__ = ("_execute", "flat_source", "path", "paths", "shape", "source")

    def __init__(self, source: str) -> None:
        """Compiles; raises ConditionSyntaxError."""
        if len(source) > EXPRESSION_CHARS_MAX:
            raise ConditionSyntaxError(
                f"expected at most {EXPRESSION_CHARS_MAX} characters, got {len(source)}"
            )
        tokens = tokens_of(source)
        loops = sum(1 for kind, text, _, _ in tokens if kind == "name" and text in _MACROS)
        if loops > COMPREHENSIONS_MAX:
            raise ConditionSyntaxError(f"expected at most {COMPREHENSIONS_MAX} comprehensions, got {loops}")
        if _nested(tokens):
            raise ConditionSyntaxError(
                "expected no comprehension inside another: its cost would have no bound"
            )
        for expression in _literal_patterns(tokens):
            if not _is_pattern(expression):
                raise ConditionSyntaxError(f"expected a regular expression, got {expression[:80]}")
        self.source = source
        program = compiled(source)
        unknown = set(program.functions()) - _FUNCTIONS
        unknown = {name for name in unknown if name.isidentifier()}
        if unknown:
            near = perhaps(min(unknown), _FUNCTIONS)
            raise ConditionSyntaxError(
                f"unknown function {min(unknown)!r}; known are the CEL standard functions{near}"
            )
        uses = _uses(tokens)
        self.paths = frozenset(path for path, _, _ in uses)
        only = next(iter(self.paths), ())
        # The path, when the expression is nothing else: then it need not go through the engine.
        self.path: Path | None = only if ".".join(only) == source.strip() else None
        self.shape, self.flat_source = _shape(source, tokens, uses)
        self._execute = (program if self.flat_source == source else compiled(self.flat_source)).execute

    def value(self, environment: Environment) -> Any:
        """The expression's value; raises ConditionError."""
        if self.source not in environment.covered:
            environment.cover(self.shape)
        try:
            return self._execute(environment.engine)
        except Exception as error:
            raise ConditionError(self._explained(error)) from None
        except BaseException as error:  # a panic of the engine must not end the service
            if not of_the_engine(error):
                raise
            raise ConditionError("the engine panicked") from None

    def holds(self, environment: Environment) -> bool:
        """Whether it is true; raises ConditionError, also when the value is no boolean."""
        value = self.value(environment)
        if value is True or value is False:
            return value
        raise ConditionError(f"expected a boolean, got {type(value).__name__}")

    def _explained(self, error: Exception) -> str:
        if isinstance(error, KeyError):
            # A key that the expression does not name is a value of the caller's.
            named = {part for path in self.paths for part in path}
            return f"missing value {error}" if error.args and error.args[0] in named else "missing value"
        text = str(error)
        missing = next((".".join(path) for name, path in self.shape.flats if f"'{name}'" in text), "")
        return f"missing value {missing!r}" if missing else text.split(":", 1)[0][:120]


def tokens_of(source: str) -> list["Token"]:
    """The source's tokens in their order."""
    return [Token(match) for match in _TOKEN.finditer(source)]


class Token(tuple[str, str, int, int]):
    """A token's kind, its text, and where it stands."""

    def __new__(cls, match: re.Match[str]) -> "Token":
        """From the scanner."""
        return super().__new__(cls, (match.lastgroup or "", match.group(), match.start(), match.end()))


def _literal_patterns(tokens: list[Token]) -> list[str]:
    """The literals that stand as `matches("…")`."""
    return [
        tokens[at + 2][1]
        for at in range(len(tokens) - 3)
        if tokens[at][1] == "matches"
        and (tokens[at + 1][1], tokens[at + 3][1]) == ("(", ")")
        and tokens[at + 2][0] == "string"
    ]


def _is_pattern(literal: str) -> bool:
    """Whether the engine takes it; it looks at patterns, and bounds their size, when it runs them."""
    try:
        compiled(f"''.matches({literal})").execute({})
    except BaseException as error:
        if not of_the_engine(error):
            raise
        return False
    return True


def _nested(tokens: list[Token]) -> bool:
    """Whether a comprehension stands in the parentheses of another."""
    open_loops: list[int] = []
    depth = 0
    for at, (kind, text, _, _) in enumerate(tokens):
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


def of_the_engine(error: BaseException) -> bool:
    """Whether it may come from the engine: its panics are no `Exception`, and must not end the service."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def compiled(source: str) -> Any:
    """The engine's program; raises ConditionSyntaxError."""
    try:
        return cel.compile(source)
    except ValueError as error:
        lines = str(error).splitlines()
        detail = next((line for line in lines if "ERROR" in line), lines[0]).split("Syntax error: ")[-1]
        if "Recursion limit" in detail:
            detail = "it is nested too deep"
        # The engine lists every token that it could have taken.
        detail = detail.split(" expecting {")[0]
        raise ConditionSyntaxError(f"expected a CEL expression: {detail[:200]}") from None
    except BaseException as error:
        if of_the_engine(error):
            raise ConditionSyntaxError("expected a CEL expression that the engine accepts") from None
        raise


# A path and the tokens that it stands on, half-open.
_Use = tuple[Path, int, int]


def _uses(tokens: list[Token]) -> list[_Use]:
    bound = _bound(tokens)
    found: list[_Use] = []
    at = 0
    while at < len(tokens):
        kind, text = tokens[at][:2]
        is_start = kind == "name" and (at == 0 or tokens[at - 1][1] != ".")
        if not is_start or text in _WORDS or text in bound or _mark(tokens, at + 1) == "(":
            at += 1
            continue
        path, end = _path_from(tokens, at)
        found.append((path, at, end))
        at = end
    return found


def _bound(tokens: list[Token]) -> set[str]:
    """The variables of comprehensions."""
    return {
        tokens[at + 2][1]
        for at in range(len(tokens) - 3)
        if tokens[at][1] in _MACROS and tokens[at + 1][1] == "(" and tokens[at + 3][1] == ","
    }


def _shape(source: str, tokens: list[Token], uses: Iterable[_Use]) -> tuple[Shape, str]:
    """What the engine is given, and the expression over that: a path of members becomes one variable.

    The engine converts and copies a whole object for each member that is read of it, which costs several times the
    evaluation. `has()` asks for a member, so what stands in it stays as it is.
    """
    flats: dict[str, Path] = {}
    chosen: set[tuple[str, Path, str]] = set()
    whole: set[Path] = set()
    parts: list[str] = []
    done = 0
    words = [text for _, text, _, _ in tokens]
    # Names that could be taken for ours, and texts whose quotes the scanner does not see through.
    crowded = any("__" in name for name in _bound(tokens)) or '"""' in source or "'''" in source
    for path, first, end in uses:
        asked = first > 1 and tokens[first - 1][1] == "(" and tokens[first - 2][1] == "has"
        name = None if asked or crowded else flat_name(path)
        if name is None:
            whole.add(path)
            continue
        # A comment could hide what stands in the comprehension.
        text = None if "//" in source else narrowed(path, words, at=end)
        if text is None:
            flats[name] = path
        else:
            name = narrowed_name(path, text)
            chosen.add((name, path, text))
        parts += [source[done : tokens[first][2]], name]
        done = tokens[end - 1][3]
    flat_source = "".join(parts) + source[done:]
    return Shape.made(flats, chosen, whole, frozenset({source})), flat_source


def _path_from(tokens: list[Token], at: int) -> tuple[Path, int]:
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


def _mark(tokens: list[Token], at: int) -> str:
    return tokens[at][1] if at < len(tokens) and tokens[at][0] == "mark" else ""
