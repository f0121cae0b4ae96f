"""The dialogue brain, on tool sets that it has never seen."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_localmodel.domain.context import (
    AssistantSaid,
    Call,
    CallMade,
    CallReturned,
    Context,
    Entry,
    Say,
    SystemNote,
    UserSaid,
)
from ringback_localmodel.domain.dialogue import DialogueRules

RULES = DialogueRules(today=lambda: date(2026, 11, 22))
ROLE = "You are Mara, the voice of the Oak Lane library. Never guess. Loans last four weeks."


def tool(name: str, description: str, required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    needed = list(properties) if required is None else required
    schema = {"type": "object", "properties": properties, "required": needed}
    return {"type": "function", "name": name, "description": description, "parameters": schema}


CARD = {"type": "string", "pattern": "^[A-Z]{2}[0-9]{4}$", "title": "Library card number"}
RENEW = tool("renew_loan", "Renew the loan of a book.", card=CARD)
RESERVE = tool(
    "reserve_room",
    "Reserve a reading room.",
    ["day", "room", "people"],
    day={"type": "string", "format": "date"},
    room={"type": "string", "enum": ["quiet_room", "group_room", "studio"]},
    people={"type": "integer", "minimum": 1, "maximum": 8},
    card=CARD,
)
LIBRARIAN = tool("call_librarian", "Hand the visitor over to a librarian.", summary={"type": "string"})
TOOLS = [RENEW, RESERVE, LIBRARIAN]


class Conversation:
    """Plays the client: keeps the entries, answers calls from prepared outputs."""

    def __init__(self, *tools: dict[str, Any], **outputs: Any) -> None:
        self.tools = tools or tuple(TOOLS)
        self.outputs = outputs
        self.entries: list[Entry] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def says(self, text: str) -> str:
        """The caller speaks; returns what the agent says in the end."""
        self.entries.append(UserSaid(text))
        return self.reply()

    def reply(self) -> str:
        (step,) = RULES.steps(Context(self.entries, ROLE, tools=self.tools))
        if isinstance(step, Say):
            self.entries.append(AssistantSaid(step.text))
            return step.text
        arguments = json.loads(step.arguments)
        self.calls.append((step.name, arguments))
        call_id = f"call_{len(self.calls)}"
        output = self.outputs.get(step.name, {"message": "Done, it is."})
        self.entries += [
            CallMade(call_id, step.name, step.arguments),
            CallReturned(call_id, output if isinstance(output, str) else json.dumps(output)),
        ]
        return self.reply()


def one(
    entries: list[Entry], *, own: str | None = None, tools: Any = (), must: str | None = None
) -> Say | Call:
    (step,) = RULES.steps(Context(entries, ROLE, own_instructions=own, tools=tools, must_call=must))
    return step


def test_an_empty_conversation_is_greeted_in_the_role_of_the_instructions() -> None:
    assert one([]) == Say("Hello, this is Mara, the voice of the Oak Lane library. How can I help you?")
    assert one([UserSaid("Who are you?")]) == Say("I am Mara, the voice of the Oak Lane library.")


def test_missing_arguments_are_asked_one_at_a_time_and_the_call_is_made() -> None:
    talk = Conversation()
    assert talk.says("Hi, I'd like to reserve a room for three people.") == "What is the day?"
    assert talk.says("Tomorrow.") == "Which room would you like: quiet room, group room or studio?"
    assert talk.says("The group room, please.") == "Done, it is."
    assert talk.calls == [("reserve_room", {"people": 3, "day": "2026-11-23", "room": "group_room"})]


def test_a_spelled_id_is_read_by_its_pattern() -> None:
    talk = Conversation()
    assert talk.says("Please renew my loan.") == "What is the library card number?"
    talk.says("It's K as in Kilo, B, double four, one nine.")
    assert talk.calls == [("renew_loan", {"card": "KB4419"})]


def test_values_given_before_are_kept() -> None:
    talk = Conversation()
    talk.says("Renew the loan, my card is KB4419.")
    talk.says("And reserve the studio tomorrow for two people.")
    assert talk.calls[1] == (
        "reserve_room",
        {"card": "KB4419", "day": "2026-11-23", "room": "studio", "people": 2},
    )


def test_a_correction_replaces_the_value() -> None:
    talk = Conversation()
    talk.says("Renew my loan, card K B 4 4 1 9.")
    talk.says("No, I meant K B 4 4 1 8.")
    assert [arguments["card"] for _, arguments in talk.calls] == ["KB4419", "KB4418"]


def test_an_answer_that_does_not_parse_is_asked_again_in_other_words_and_then_given_up() -> None:
    talk = Conversation()
    said = [talk.says("Renew my loan."), talk.says("Hmm."), talk.says("Green."), talk.says("Elephants.")]
    assert len(set(said)) == 4
    assert "could not understand the library card number" in said[3]
    assert talk.says("Thanks.").startswith("You are welcome")
    assert talk.calls == []


def test_an_aside_is_answered_and_the_question_put_again() -> None:
    talk = Conversation()
    talk.says("Renew my loan.")
    assert talk.says("How long do loans last?") == "Loans last four weeks. What is the library card number?"
    talk.says("KB4419")
    assert talk.calls


def test_another_wish_or_a_never_mind_ends_the_question() -> None:
    talk = Conversation()
    talk.says("Renew my loan.")
    assert talk.says("Never mind.").startswith("All right")
    talk.says("Renew my loan.")
    assert talk.says("Actually, call a librarian please.") == "Done, it is."
    assert [name for name, _ in talk.calls] == ["call_librarian"]
    assert talk.calls[0][1]["summary"]


def test_a_question_cut_off_by_the_caller_still_counts_as_asked() -> None:
    entries: list[Entry] = [
        UserSaid("Renew my loan."),
        AssistantSaid("What is the library"),
        UserSaid("KB4419"),
    ]
    assert one(entries, tools=TOOLS) == Call("renew_loan", '{"card": "KB4419"}')


def test_a_request_goes_on_when_only_its_question_is_left_in_the_context() -> None:
    entries: list[Entry] = [AssistantSaid("What is the library card number?"), UserSaid("KB4419")]
    assert one(entries, tools=TOOLS) == Call("renew_loan", '{"card": "KB4419"}')


def test_a_call_that_is_answered_is_not_made_again_unless_asked_for() -> None:
    talk = Conversation()
    talk.says("Renew my loan, card KB4419.")
    for words in ("Okay.", "Thank you.", "Great, that's all."):
        talk.says(words)
    assert len(talk.calls) == 1
    talk.says("Renew my loan once more.")
    assert len(talk.calls) == 2


def test_a_call_that_is_still_open_is_not_made_twice() -> None:
    entries: list[Entry] = [
        UserSaid("Renew my loan, card KB4419."),
        CallMade("c", "renew_loan", '{"card": "KB4419"}'),
        UserSaid("Renew my loan, card KB4419."),
    ]
    assert isinstance(one(entries, tools=TOOLS), Say)
    assert one(entries[:2], tools=TOOLS) == Say("One moment, please.")


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"message": "It is renewed.", "due": "2026-12-20"}, "It is renewed."),
        ({"status": "denied", "say": "Only members may."}, "Only members may."),
        (
            {"error": {"code": "away", "message": "The catalogue does not answer."}},
            "The catalogue does not answer.",
        ),
        ({"error": "card_blocked"}, "I am sorry, that did not work: card blocked."),
        ({"status": "failed", "reason": "no_such_card"}, "I am sorry, that did not work: no such card."),
        ({"due": "2026-12-20", "renewable": False}, "The due is 2026-12-20. It is not renewable."),
        ({"fee": 1.5, "currency": "EUR"}, "The fee is €1.50."),
        (
            {"books": [{"title": "Emma"}, {"title": "Ulysses"}]},
            "There are 2 books: title Emma; title Ulysses.",
        ),
        ("plain words", "plain words"),
        ("", "That is done."),
        ([], "There are no results."),
    ],
)
def test_results_are_spoken_from_their_own_words_or_their_data(output: Any, said: str) -> None:
    text = output if isinstance(output, str) else json.dumps(output)
    assert one([UserSaid("x"), CallMade("c", "n", "{}"), CallReturned("c", text)]) == Say(said)


def test_several_results_are_spoken_together() -> None:
    entries: list[Entry] = [CallReturned("a", '{"say": "One."}'), CallReturned("b", '{"say": "Two."}')]
    assert one(entries) == Say("One. Two.")


FACTS = (
    'Answer briefly. Facts: {"book": "Emma", "late_fee": {"amount": 2, "currency": "EUR"}, "paid_by": "card"}'
)


@pytest.mark.parametrize(
    ("question", "own", "said"),
    [
        ("Hold on, how much is the late fee?", FACTS, "The late fee is amount €2.00."),
        ("Which book is it?", FACTS, "The book is Emma."),
        ("How long do loans last?", None, "Loans last four weeks."),
        ("Is it renewable?", None, "Yes. It is renewable."),
        ("When is it due?", None, "The due date is 2026-12-20."),
        ("Who won the match?", FACTS, "I am sorry, I do not know that."),
    ],
)
def test_questions_are_answered_from_the_context_alone(question: str, own: str | None, said: str) -> None:
    returned = CallReturned("c", '{"due_date": "2026-12-20", "renewable": true}')
    entries: list[Entry] = [CallMade("c", "n", "{}"), returned, UserSaid(question)]
    assert one(entries, own=own) == Say(said)


CLARIFY = (
    "Answer the question in one short sentence, from these facts only. Facts: "
    '{"order": {"amount": 240, "currency": "USD", "method": "Visa ending in 4417", "delivery": "2026-12-04"}}'
)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Hold on. Which card does it go to?", "The method is Visa ending in 4417."),
        ("Wait, how much do I get back?", "The amount is $240.00."),
        ("And when is that?", "The delivery is 2026-12-04."),
    ],
)
def test_the_kind_of_a_value_answers_when_no_name_does(question: str, said: str) -> None:
    open_call: list[Entry] = [CallMade("c", "return_order", '{"order": "B7"}'), UserSaid(question)]
    assert one(open_call, own=CLARIFY) == Say(said)


@pytest.mark.parametrize(
    ("words", "start"),
    [
        ("That is a pity. Thank you anyway.", "You are welcome."),
        (
            "Thank you. Could I speak to the head of the house?",
            "I am sorry, I did not understand that. I can renew",
        ),
        (
            "What can you do?",
            "I can renew the loan of a book, reserve a reading room or hand the visitor over",
        ),
        ("Yes, please.", "All right."),
        ("Goodbye.", "Goodbye"),
    ],
)
def test_small_talk_is_small_talk_and_a_wish_is_not(words: str, start: str) -> None:
    step = one([AssistantSaid("Hello."), UserSaid(words)], tools=TOOLS)
    assert isinstance(step, Say)
    assert step.text.startswith(start), step.text


def test_a_system_note_is_something_to_answer_from() -> None:
    entries: list[Entry] = [
        UserSaid("Where is the toilet?"),
        SystemNote("The toilet is on the second floor."),
    ]
    assert one(entries) == Say("The toilet is on the second floor.")


def test_dictation_wins_over_everything_else() -> None:
    entries: list[Entry] = [UserSaid("Renew my loan, card KB4419.")]
    assert one(entries, own='Say exactly: "Not now."', tools=TOOLS) == Say("Not now.")


def test_instructions_to_greet_are_followed() -> None:
    step = one([UserSaid("hm")], own="Greet the caller warmly.")
    assert isinstance(step, Say)
    assert step.text.startswith("Hello, this is Mara")


def test_a_forced_tool_is_called() -> None:
    step = one([UserSaid("so what now")], tools=TOOLS, must="call_librarian")
    assert isinstance(step, Call)
    assert step.name == "call_librarian"


def test_unheard_words_are_asked_for_again() -> None:
    assert one([UserSaid("")], tools=TOOLS) == Say("Sorry, I did not catch that. Could you say it again?")


WORDS = st.lists(
    st.sampled_from(
        [
            "renew",
            "my",
            "loan",
            "card",
            "KB4419",
            "no",
            "yes",
            "what",
            "is",
            "the",
            "room",
            "tomorrow",
            "three",
            "never",
            "mind",
            "?",
            ".",
            "{}",
            "4",
            "''",
        ]
    )
).map(" ".join)
ENTRIES = st.lists(
    st.builds(UserSaid, WORDS)
    | st.builds(AssistantSaid, WORDS)
    | st.builds(SystemNote, WORDS)
    | st.builds(CallMade, st.just("c"), st.sampled_from(["renew_loan", "x"]), WORDS | st.just("{}"))
    | st.builds(CallReturned, st.just("c"), st.text(max_size=20) | st.just('{"a": [1, {"b": null}]}')),
    max_size=8,
)
SCHEMAS = st.recursive(
    st.none() | st.integers() | st.sampled_from(["string", "array", "object", "date", "["]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "required",
                    "enum",
                    "pattern",
                    "format",
                    "items",
                    "a",
                    "b",
                    "anyOf",
                    "title",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(ENTRIES, st.none() | WORDS, SCHEMAS)
def test_no_conversation_and_no_schema_breaks_the_brain(
    entries: list[Entry], own: str | None, schema: Any
) -> None:
    odd = {"type": "function", "name": "odd", "parameters": schema if isinstance(schema, dict) else {}}
    context = Context(entries, ROLE, own_instructions=own, tools=[*TOOLS, odd])
    steps = RULES.steps(context)
    assert steps == RULES.steps(context)
    for step in steps:
        if isinstance(step, Say):
            assert step.text.strip()
        else:
            assert isinstance(json.loads(step.arguments), dict)
