"""What a replay is given: tables, runs and tasks that are badly formed, and answers given to something else."""

from __future__ import annotations

import json

import pytest
from made_airline import Story, write_folder
from ringback_cli.guard.answered import changed_since_answer, names_action
from ringback_cli.guard.recordings import PastCall, Utterance, Write, read_stories
from ringback_cli.guard.tables import read_tables
from ringback_cli.main import app
from ringback_errors import InvalidInput
from typer.testing import CliRunner

WRITES = frozenset({"cancel_reservation", "book_reservation"})


@pytest.fixture
def folder(tmp_path):
    """The made airline with one story of one cancellation."""
    write_folder(tmp_path, [Story("one", [("cancel_reservation", {"reservation_id": "$id"}, "done")])])
    return tmp_path


def edited(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("table", "change", "field", "expected"),
    [
        ("reservations", lambda c: c["RES000"].pop("cabin"), "reservations.json[RES000]", "cabin"),
        (
            "reservations",
            lambda c: c["RES000"].update(passengers=2),
            "reservations.json[RES000]",
            "passengers",
        ),
        ("reservations", lambda c: c.update(RES000=None), "reservations.json[RES000]", "object"),
        ("users", lambda c: c["gil_gold_3"].pop("membership"), "users.json[gil_gold_3]", "membership"),
        ("flights", lambda c: c["F1"].update(dates=[]), "flights.json[F1]", "dates"),
    ],
)
def test_a_record_without_what_the_rules_need_is_named_with_its_field(folder, table, change, field, expected):
    edited(folder / f"{table}.json", change)
    with pytest.raises(InvalidInput, match=expected) as refused:
        read_tables(folder)
    assert str(refused.value.field).endswith(field)


@pytest.mark.parametrize("content", ["{", "[]", "null", "[" * 100_000])
def test_a_table_that_is_none_is_named(folder, content):
    (folder / "users.json").write_text(content)
    with pytest.raises(InvalidInput, match="expected") as refused:
        read_tables(folder)
    assert "users.json" in str(refused.value.field)


def test_what_no_rule_needs_may_be_missing_or_be_more(folder):
    def leaner(content):
        for name in ("insurance", "total_baggages", "nonfree_baggages", "payment_history"):
            del content["RES000"][name]
        content["RES000"]["seat_map"] = {"1A": None}

    edited(folder / "reservations.json", leaner)
    assert read_tables(folder).customer_of({"reservation_id": "RES000"}) == "ria_regular_10"


def test_a_bad_table_ends_the_command_with_a_line_and_not_with_a_trace(folder):
    edited(folder / "users.json", lambda c: c["gil_gold_3"].pop("membership"))
    done = CliRunner().invoke(app, ["eval", "airline-guard", "--data", str(folder)])
    assert done.exit_code != 0
    assert isinstance(done.exception, InvalidInput | SystemExit)


@pytest.mark.parametrize("arguments", ["{", "[1]", "7", '"x"'])
def test_arguments_that_a_model_wrote_badly_are_a_call_that_failed(folder, arguments):
    def spoil(runs):
        runs[0]["traj"][-2]["tool_calls"][0]["function"]["arguments"] = arguments

    edited(folder / "runs_made.json", spoil)
    (write,) = read_stories(folder, WRITES)[0].writes
    assert write.unreadable
    assert (write.arguments, write.succeeded) == ({}, False)


def test_words_in_parts_other_roles_unknown_tools_and_lost_results_are_read(folder):
    def dress(runs):
        told = runs[0]["traj"]
        told[0]["content"] = [{"type": "text", "text": "I am"}, {"type": "text", "text": "ann."}]
        told.insert(0, {"role": "system", "content": "policy"})
        told.insert(1, {"role": "developer", "content": None})
        call = {"id": "x", "function": {"name": "beam_up", "arguments": None}}
        told.insert(3, {"role": "assistant", "content": "", "tool_calls": [call]})
        told.pop()
        runs.append({"task_id": 9, "traj": []})

    edited(folder / "runs_made.json", dress)
    edited(
        folder / "tasks_made.json", lambda tasks: tasks.append({"id": 1, "actions": [], "annotations": None})
    )
    first, empty, *tasks = read_stories(folder, WRITES)
    (write,) = first.writes
    assert write.said[0].text == "I am ann."
    assert [call.tool for call in write.before] == ["beam_up"]
    assert not write.succeeded
    assert (empty.writes, tasks[-1].writes) == ((), ())


BOOKING = {
    "user_id": "ann_1",
    "origin": "JFK",
    "destination": "SEA",
    "cabin": "economy",
    "flights": [{"flight_number": "HAT001", "date": "2024-05-20"}],
    "passengers": [{"first_name": "Ann", "last_name": "Lee", "dob": "1990-01-01"}],
    "payment_methods": [{"payment_id": "credit_card_1", "amount": 200}],
    "insurance": "yes",
}


@pytest.mark.parametrize(
    ("read_back", "arguments", "named"),
    [
        ("Flight HAT001 in economy, shall I?", BOOKING, True),
        ("Would you like insurance, yes or no?", BOOKING, False),
        ("Shall I use credit_card_1, ann_1?", BOOKING, False),
        ("I will cancel AB12CD.", {"reservation_id": "AB12CD"}, True),
        ("I will cancel AB12CE.", {"reservation_id": "AB12CD"}, False),
        ("A certificate of $50 for you.", {"user_id": "ann_1", "amount": 50}, True),
        ("A certificate of $500 for you.", {"user_id": "ann_1", "amount": 50}, False),
        ("A certificate for you, ann_1.", {"user_id": "ann_1", "amount": 50}, False),
    ],
)
def test_a_read_back_names_the_action_by_its_details_and_not_by_whom_it_serves(read_back, arguments, named):
    assert names_action(read_back, arguments) is named


def test_a_yes_covers_no_other_arguments_than_those_it_was_given_to():
    said = (Utterance("agent", "Bags for AB12CD?"), Utterance("caller", "Yes."))
    own, other = ({"reservation_id": "AB12CD", "payment_id": name} for name in ("card_1", "card_2"))
    elsewhere = {"reservation_id": "EF34GH", "payment_id": "card_1"}

    def again(arguments, before, *, at=2):
        return changed_since_answer(
            Write("pay", arguments, None, said, (PastCall("pay", before, False, at),))
        )

    assert again(other, own)
    assert not again(own, own)
    assert not again(own, elsewhere)
    assert not again(other, own, at=1)
