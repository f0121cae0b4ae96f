"""A small airline of our own, with what its written policy makes of each write: for replays that no recording shaped.

People, flights and reservations are made; the policy is that of the pack `tau-airline`. Each story holds writes with
what must become of them: DONE, ASKED (it rests on what was only told, or on an answer that is no yes), or the rule that
stops it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

DONE, ASKED = "done", "asked"
OLD, FRESH = "2024-05-02T10:00:00", "2024-05-14T20:00:00"
PRICES = {"basic_economy": 100, "economy": 200, "business": 500}
ROUTES = {
    "F1": ("JFK", "SEA", "08:00:00"),
    "F2": ("SEA", "JFK", "08:00:00"),
    "F3": ("JFK", "ORD", "08:00:00"),
    "F4": ("ORD", "SEA", "13:00:00"),
    "F5": ("BOS", "SEA", "08:00:00"),
    "F6": ("JFK", "SEA", "18:00:00"),
    "F7": ("JFK", "MIA", "09:00:00"),
}
DAYS = {
    "2024-05-20": "available",
    "2024-05-21": "available",
    "2024-05-25": "available",
    "2024-05-16": "available",
}
SPECIAL = {
    ("F1", "2024-05-10"): "landed",
    ("F1", "2024-05-15"): "delayed",
    ("F3", "2024-05-15"): "flying",
    ("F6", "2024-05-15"): "on time",
    ("F6", "2024-05-14"): "cancelled",
    ("F2", "2024-05-16"): "cancelled",
}


def flights():
    """All flights, by number."""
    found = {}
    for number, (origin, destination, departs) in ROUTES.items():
        days = {day: _day(state) for day, state in DAYS.items()}
        days |= {day: _day(state) for (own, day), state in SPECIAL.items() if own == number}
        found[number] = {
            "flight_number": number,
            "origin": origin,
            "destination": destination,
            "scheduled_departure_time_est": departs,
            "dates": days,
        }
    found["F6"]["dates"]["2024-05-25"]["available_seats"] = dict.fromkeys(PRICES, 1)
    return found


def _day(state):
    if state != "available":
        return {"status": state}
    return {"status": state, "available_seats": dict.fromkeys(PRICES, 9), "prices": dict(PRICES)}


MEMBERS = {"ria_regular_1": "regular", "sam_silver_2": "silver", "gil_gold_3": "gold"}


def users():
    """One customer of each kind, with the same kinds of payment methods."""
    return {
        name: {
            "payment_methods": {
                **{f"credit_card_{at}": {"source": "credit_card"} for at in (1, 2)},
                **{f"gift_card_{at}": {"source": "gift_card", "amount": 600} for at in (1, 2, 3, 4)},
                **{f"certificate_{at}": {"source": "certificate", "amount": 200} for at in (1, 2)},
            },
            "membership": membership,
            "reservations": [],
        }
        for name, membership in MEMBERS.items()
    }


PEOPLE = [{"first_name": "Ann", "last_name": f"Lee{at}", "dob": "1990-01-01"} for at in range(6)]
ONE_WAY = ("F1 2024-05-20",)
ROUND = ("F1 2024-05-20", "F2 2024-05-25")


def legs(*keys):
    """Flights as arguments name them."""
    return [dict(zip(("flight_number", "date"), key.split(), strict=True)) for key in keys]


@dataclass
class Story:
    """What one customer of one reservation does: each write with what must become of it."""

    name: str
    writes: list[tuple[str, dict, str]]
    user: str = "ria_regular_1"
    told: str = "Hello."
    answer: str = "Yes."
    read_back: str = ""
    reservation: dict = field(default_factory=dict)

    @property
    def holds(self):
        """Whether all that it does is right."""
        return all(expected == DONE for _, _, expected in self.writes)


def held(**changes):
    """A reservation; what is not said is that of a plain one-way trip in economy, booked long ago."""
    return {
        "flights": ONE_WAY,
        "passengers": 1,
        "cabin": "economy",
        "insurance": "no",
        "created_at": OLD,
        **changes,
    }


def reservation(name, story):
    """The record of a story's reservation."""
    own = held(**story.reservation)
    keys = own.pop("flights")
    passengers = own.pop("passengers")
    ends = [ROUTES[key.split()[0]] for key in keys]
    round_trip = own.pop("round_trip", False)
    made = [
        {**leg, "origin": end[0], "destination": end[1], "price": PRICES[own["cabin"]]}
        for leg, end in zip(legs(*keys), ends, strict=True)
    ]
    return {
        "reservation_id": name,
        "user_id": own.pop("owner", story.user),
        "origin": ends[0][0],
        "destination": "SEA" if round_trip else ends[-1][1],
        "flight_type": "round_trip" if round_trip else "one_way",
        "flights": made,
        "passengers": PEOPLE[:passengers],
        "payment_history": [{"payment_id": "credit_card_1", "amount": PRICES[own["cabin"]]}],
        "total_baggages": own.pop("bags", 0),
        "nonfree_baggages": 0,
        **own,
    }


def write_folder(folder, stories):
    """Tables, runs of all stories and tasks of those that hold, as files."""
    reservations, people = {}, users()
    runs, tasks = [], []
    for at, story in enumerate(stories):
        own_id = f"RES{at:03}"
        record = reservation(own_id, story)
        user = story.user if story.user in people else "ria_regular_1"
        # Each story has a customer of its own, so that no trip of another story is found with them.
        own_user = f"{user}{at}"
        people[own_user] = {**people[user], "reservations": [own_id]}
        record["user_id"] = own_user if record["user_id"] == story.user else record["user_id"]
        reservations[own_id] = record
        calls = [(tool, _bound(arguments, own_id, own_user)) for tool, arguments, _ in story.writes]
        runs.append({"task_id": at, "trial": 0, "reward": 1.0, "traj": list(_said(story, own_user, calls))})
        if story.holds:
            actions = [{"name": tool, "arguments": arguments} for tool, arguments in calls]
            tasks.append(
                {"id": story.name, "actions": [{"name": "think", "arguments": {"thought": "?"}}, *actions]}
            )
    for name, content in {
        "flights": flights(),
        "reservations": reservations,
        "users": people,
        "runs_made": runs,
        "tasks_made": tasks,
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def _bound(arguments, own_id, own_user):
    return {
        name: {"$id": own_id, "$user": own_user}.get(str(value), value) for name, value in arguments.items()
    }


def _said(story, user, calls):
    opening = f"My user id is {user}. " if story.user in MEMBERS else ""
    yield {"role": "user", "content": opening + story.told}
    for at, (tool, arguments) in enumerate(calls):
        read_back = story.read_back or f"{tool.replace('_', ' ')}: {json.dumps(arguments)}. Do you confirm?"
        yield {"role": "assistant", "content": read_back}
        yield {"role": "user", "content": story.answer}
        call = {"name": tool, "arguments": json.dumps(arguments)}
        yield {"role": "assistant", "content": None, "tool_calls": [{"id": f"call_{at}", "function": call}]}
        yield {"role": "tool", "content": "{}"}
