"""Owns the measurement of consent reading: counts over labelled pairs, with the intervals that so few allow."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from ringback_policy.domain.consent import ConsentQuestion, read_consent
from ringback_policy.domain.vocabulary import Reading, SideEffect
from ringback_policy.ports import ValueFinder
from ringback_policy.usecases.contrasts import Contrast

__all__ = [
    "ConsentFigures",
    "FamilyFigures",
    "Pair",
    "Share",
    "interval",
    "measure_contrasts",
    "measure_pairs",
]

# Two-sided 95 %.
TAIL = 0.025
BISECTIONS = 60


class Pair(msgspec.Struct, frozen=True):
    """A read-back, its answer, and what people say the answer was: affirm or negate."""

    read_back: str
    answer: str
    label: str
    confidence: float | None = None


class Share(msgspec.Struct, frozen=True):
    """Some of all, with the interval of Clopper and Pearson."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """The share itself; 0 of nothing."""
        return self.count / self.total if self.total else 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval of 95 %."""
        return interval(self.count, self.total)


class ConsentFigures(msgspec.Struct, frozen=True):
    """How each pair was read, the counts, and the cost of one reading in ms of processor time."""

    readings: tuple[Reading, ...]
    counts: dict[tuple[str, Reading], int]
    ms_p50: float
    ms_p99: float

    def share(self, label: str, reading: Reading) -> Share:
        """Of all pairs with this label, those read so."""
        total = sum(count for (own, _), count in self.counts.items() if own == label)
        return Share(self.counts.get((label, reading), 0), total)


class FamilyFigures(msgspec.Struct, frozen=True):
    """How one family of made answers was read."""

    family: str
    right: Share
    false_yes: int
    wants_yes: bool


def measure_pairs(
    pairs: Sequence[Pair], *, contains: ValueFinder, clock: Callable[[], float]
) -> ConsentFigures:
    """Reads all pairs as answers before an action that can be undone. `clock` gives seconds."""
    readings: list[Reading] = []
    costs: list[float] = []
    for pair in pairs:
        question = ConsentQuestion(pair.read_back, pair.answer, pair.confidence, side_effect=SideEffect.WRITE)
        begun = clock()
        readings.append(read_consent(question, contains=contains).reading)
        costs.append((clock() - begun) * 1000)
    counts = Counter((pair.label, reading) for pair, reading in zip(pairs, readings, strict=True))
    costs.sort()
    return ConsentFigures(tuple(readings), dict(counts), _at(costs, 0.5), _at(costs, 0.99))


def measure_contrasts(made: Iterable[Contrast], *, contains: ValueFinder) -> tuple[FamilyFigures, ...]:
    """Reads the made answers, family by family."""
    families: dict[str, list[tuple[Contrast, Reading]]] = {}
    for item in made:
        question = ConsentQuestion(
            item.read_back, item.utterance, 0.9, item.bound_values, item.side_effect, 0.6
        )
        reading = read_consent(question, contains=contains).reading
        families.setdefault(item.family, []).append((item, reading))
    return tuple(_family(family, read) for family, read in families.items())


def interval(count: int, total: int) -> tuple[float, float]:
    """The interval of Clopper and Pearson (Biometrika 26, 1934) for `count` of `total`, 95 %."""
    if not total:
        return 0.0, 1.0
    low = 0.0 if count == 0 else _solve(lambda share: 1 - _at_most(count - 1, total, share) - TAIL)
    high = 1.0 if count == total else _solve(lambda share: TAIL - _at_most(count, total, share))
    return low, high


def _family(family: str, read: Sequence[tuple[Contrast, Reading]]) -> FamilyFigures:
    right = sum(1 for item, reading in read if reading in item.allowed)
    false_yes = sum(1 for item, reading in read if reading is Reading.YES and Reading.YES not in item.allowed)
    return FamilyFigures(family, Share(right, len(read)), false_yes, Reading.YES in read[0][0].allowed)


def _solve(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def _at_most(count: int, total: int, share: float) -> float:
    """The probability of at most `count` of `total`, by logarithms: the terms themselves are too small."""
    if share <= 0:
        return 1.0
    if share >= 1:
        return 1.0 if count >= total else 0.0
    terms = (
        math.lgamma(total + 1)
        - math.lgamma(k + 1)
        - math.lgamma(total - k + 1)
        + k * math.log(share)
        + (total - k) * math.log1p(-share)
        for k in range(count + 1)
    )
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
