"""What the embedded extractor hears in an utterance."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ringback_memory.domain.extraction import read_caller, values
from ringback_memory.domain.extraction.values import find_names, find_values
from ringback_memory.domain.schema import ToolOutline, schema_of_tools
from ringback_memory.domain.state import State
from ringback_memory.evaluation import main

FLIGHTS = schema_of_tools(
    [
        ToolOutline(
            "book_flight",
            "Book a flight.",
            {
                "properties": {
                    "origin_city": {"type": "string", "description": "City to fly from"},
                    "destination_city": {"type": "string", "description": "City to fly to"},
                    "departure_date": {"type": "string", "format": "date", "description": "Day of departure"},
                    "return_date": {"type": "string", "format": "date", "description": "Day of return"},
                    "departure_time": {"type": "string", "description": "Time of departure"},
                    "passengers": {"type": "integer", "description": "Number of passengers"},
                    "cabin": {
                        "enum": ["economy", "premium_economy", "business"],
                        "description": "Cabin class",
                    },
                    "has_insurance": {"type": "boolean", "description": "Whether to insure the trip"},
                    "booking_code": {
                        "type": "string",
                        "pattern": "^[A-Z]{2}[0-9]{3}$",
                        "description": "Booking code",
                    },
                }
            },
        )
    ]
)


def _heard(text, *, question=""):
    reading = read_caller(FLIGHTS, text, question=question, state=State())
    return {found.name: found.value for found in reading.found}


@pytest.mark.parametrize(
    ("text", "question", "expected"),
    [
        (
            "I want to fly from Boston to New York.",
            "",
            {"origin_city": "Boston", "destination_city": "New York"},
        ),
        ("For three people, please.", "How many passengers?", {"passengers": "3"}),
        ("Premium economy, please.", "", {"cabin": "premium_economy"}),
        ("My code is A B one two three.", "What is the booking code?", {"booking_code": "AB123"}),
        ("The 5th of March.", "On which date do you want to depart?", {"departure_date": "5th of March"}),
        (
            "I leave next Monday and return on March 9th.",
            "",
            {"departure_date": "next Monday", "return_date": "March 9th"},
        ),
        ("Half past 6 in the evening.", "At what time?", {"departure_time": "Half past 6 in the evening"}),
        ("No.", "Do you want insurance for the trip?", {"has_insurance": False}),
        ("Yes, I'd like insurance.", "", {"has_insurance": True}),
        ("Hello there, how are you?", "", {}),
        ("Thanks a lot!", "You fly from Boston. Anything else?", {}),
        ("I need a one way flight.", "", {}),
    ],
)
def test_values_go_to_the_slots_that_they_are_for(text, question, expected):
    assert _heard(text, question=question) == expected


def test_what_was_read_back_and_accepted_is_heard():
    question = "To confirm: from Boston to Lima on March 9th, right?"
    heard = _heard("Yes, that's right.", question=question)
    assert (heard["origin_city"], heard["destination_city"]) == ("Boston", "Lima")
    assert "origin_city" not in _heard("No, that's wrong.", question=question)


def test_no_preference_is_an_answer():
    assert _heard("I don't care.", question="Which cabin?") == {"cabin": "dontcare"}


def test_values_are_found_where_they_stand():
    text = "On 2026-11-22 at 5:30 pm I paid $1,200 for 2 seats"
    for value in find_values(text):
        assert text[value.start : value.end].casefold().replace(",", "") in (value.text.casefold(), "$1200")
    assert [v.kind for v in find_values(text)] == ["date", "time", "money", "number"]
    assert [v.text for v in find_names("I met Ada Lovelace in St. Louis.", taken=[])] == [
        "Ada Lovelace",
        "St. Louis",
    ]


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=120), question=st.text(max_size=120))
def test_no_utterance_is_too_strange_to_be_read(text, question):
    first = read_caller(FLIGHTS, text, question=question, state=State())
    assert first == read_caller(FLIGHTS, text, question=question, state=State())


BANK = schema_of_tools(
    [
        ToolOutline(
            "transfer_money",
            "Transfer money to somebody.",
            {
                "properties": {
                    "account": {"enum": ["checking", "savings"], "description": "The account to pay from"},
                    "recipient_account": {
                        "enum": ["checking", "savings"],
                        "description": "The account of the recipient",
                    },
                    "amount": {"type": "number", "description": "Amount of money to transfer"},
                    "receipt": {"enum": ["None", "Paper copy", "Text message"], "description": "Receipt"},
                    "branch_city": {"type": "string", "description": "City of the branch"},
                    "branch_address": {"type": "string", "description": "Street address of the branch"},
                }
            },
            changes=True,
        )
    ]
)


@pytest.mark.parametrize(
    ("text", "question", "expected"),
    [
        ("From savings to checking.", "", {"account": "savings", "recipient_account": "checking"}),
        (
            "one thousand two hundred and ninety dollars",
            "",
            {"amount": "one thousand two hundred and ninety dollars"},
        ),
        ("No receipt, please.", "", {"receipt": "None"}),
        ("Send the receipt as a message.", "", {"receipt": "Text message"}),
        ("the branch at 12 Long Hill Road", "", {"branch_address": "12 Long Hill Road"}),
        ("i need the branch in san marino", "", {"branch_city": "san marino"}),
    ],
)
def test_listed_values_and_names_are_read_as_they_are_said(text, question, expected):
    reading = read_caller(BANK, text, question=question, state=State())
    assert {found.name: found.value for found in reading.found} == expected


@pytest.mark.parametrize(
    "piece", ["A B ", "1 ", "from Boston to ", "the ", "yes, ", "a", "5:30 pm ", "........ ", "'"]
)
def test_a_long_utterance_takes_bounded_time(piece):
    began = time.process_time()
    _heard(piece * 20_000, question=piece * 20_000)
    assert time.process_time() - began < 5


def _folder(tmp_path):
    service = {
        "service_name": "Taxi_1",
        "description": "Order a taxi",
        "slots": [
            {
                "name": "destination",
                "description": "Where to go",
                "is_categorical": False,
                "possible_values": [],
            }
        ],
        "intents": [
            {
                "name": "OrderTaxi",
                "description": "Order a taxi",
                "is_transactional": True,
                "required_slots": ["destination"],
                "optional_slots": {},
            }
        ],
    }
    frame = {"service": "Taxi_1", "actions": [], "state": {"slot_values": {"destination": ["Main Street"]}}}
    turn = {"speaker": "USER", "utterance": "A taxi to Main Street, please.", "frames": [frame]}
    dialogue = {"dialogue_id": "1", "services": ["Taxi_1"], "turns": [turn]}
    (tmp_path / "schema_x.json").write_text(json.dumps([service]))
    (tmp_path / "dialogues_x.json").write_text(json.dumps([dialogue]))
    return tmp_path


def test_the_evaluation_prints_and_writes_its_figures(tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["--data", str(_folder(tmp_path)), "--json", str(out)]) == 0
    assert json.loads(out.read_text())["transcript"]["joint_accuracy"] == 1.0
    assert "transcript" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("dialogues_x.json", "{", "dialogues_x.json"),
        ("dialogues_x.json", '[{"services":[]}]', "dialogue_id"),
        ("dialogues_x.json", '[{"dialogue_id":"1","services":[],"turns":[{"speaker":"USER"}]}]', "utterance"),
        ("dialogues_x.json", "[" * 100_000, "dialogues_x.json"),
        ("dialogues_x.json", "[]", "no dialogue"),
        ("schema_x.json", "[]", "no schema"),
    ],
)
def test_data_that_cannot_be_read_is_named(tmp_path, capsys, name, text, named):
    folder = _folder(tmp_path)
    (folder / name).write_text(text)
    assert main(["--data", str(folder)]) == 2
    assert named in capsys.readouterr().err


def test_a_result_file_that_cannot_be_written_is_named_before_the_work(tmp_path, capsys):
    assert main(["--data", str(_folder(tmp_path)), "--json", str(tmp_path / "none" / "out.json")]) == 2
    assert "out.json" in capsys.readouterr().err


def test_dialogues_without_annotations_are_read_and_counted_as_nothing(tmp_path, capsys):
    folder = _folder(tmp_path)
    turns = [{"speaker": "USER", "utterance": "A taxi."}, {"speaker": "SYSTEM", "utterance": "Where to?"}]
    bare = [{"dialogue_id": "1", "services": ["Taxi_1"], "turns": turns}]
    (folder / "dialogues_x.json").write_text(json.dumps(bare))
    assert main(["--data", str(folder)]) == 0
    assert "0 annotated caller turns" in capsys.readouterr().out


def test_a_folder_without_data_is_named(tmp_path, capsys):
    assert main(["--data", str(tmp_path)]) == 2
    assert "dialogues_*.json" in capsys.readouterr().err


FRAGMENTS = (
    "the 3rd",
    "The third",
    "the twenty-first",
    "day after tomorrow",
    "Tonight",
    "next weekend",
    "later this week monday",
    "12 of May",
    "2024-03-05",
    "6/7",
    "quarter past Six",
    "10.30 pm",
    "seven a.m.",
    "five o'clock",
    "NOON",
    "at night",
    "eight at night",
    "morning 8",
    "$5",
    "20 bucks",
    "3 Pounds",
    "a couple of",
    "just me",
    "dozen",
    "x@y.org",
    "+1 555-0142 77",
    "of",
    "to",
    "mıdday",
    "ſecond",
    "the ſecond",
)


@settings(max_examples=300, deadline=None)
@given(
    words=st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=6), max_size=8), joint=st.sampled_from(" .,")
)
def test_no_value_is_missed_for_want_of_a_hint(words, joint):
    text = joint.join(words)
    for (kind, pattern), hint in zip(values._COMPILED, values._HINTS, strict=True):
        if text.isascii() and pattern.search(text):
            assert hint.search(text.lower()), (kind, text)
