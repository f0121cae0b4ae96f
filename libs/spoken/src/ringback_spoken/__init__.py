"""How values sound: spoken forms of numbers, money, dates, ids, and reading them back."""

from ringback_spoken.identifiers import Span, SpokenId, read_id, spoken_ids
from ringback_spoken.matching import Kind, contains_value, normalise
from ringback_spoken.reading import Money, read_date, read_money, read_number, read_time
from ringback_spoken.speaking import for_ear, speakable

__all__ = [
    "Kind",
    "Money",
    "Span",
    "SpokenId",
    "contains_value",
    "for_ear",
    "normalise",
    "read_date",
    "read_id",
    "read_money",
    "read_number",
    "read_time",
    "speakable",
    "spoken_ids",
]
