"""What models cost: by name, exactly, or by the name without its date."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from ringback_session.domain.usage import Price

__all__ = ["PriceTable"]

_DATED = re.compile(r"(.+)-\d{4}-\d{2}-\d{2}")


class PriceTable(msgspec.Struct, frozen=True):
    """Prices by model; one that is not here has none that we know."""

    models: Mapping[str, Price] = {}

    def find(self, model: str) -> Price | None:
        found = self.models.get(model)
        dated = _DATED.fullmatch(model) if found is None else None
        return found if dated is None else self.models.get(dated[1])
