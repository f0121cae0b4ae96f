"""The airline's bags, by the number of their tags: read once, never changed."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path
from typing import Any

DATA = Path(__file__).with_suffix(".csv")


class Bags:
    """Where each bag is."""

    def __init__(self, data: Path = DATA) -> None:
        with data.open(newline="") as file:
            self._seed = {row["bag_tag"]: row for row in csv.DictReader(file)}

    def bag(self, bag_tag: str) -> dict[str, Any] | None:
        """The bag of a tag; None if there is none."""
        seed = self._seed.get(bag_tag)
        if seed is None:
            return None
        due = date.today() + timedelta(days=int(seed["due_in_days"]))
        return {
            "bag_tag": bag_tag,
            "status": seed["status"],
            "place": seed["place"],
            "delivery_date": due.isoformat() if seed["status"] == "located" else "",
        }
