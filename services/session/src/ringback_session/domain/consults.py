"""The calls of a consultation: whose they are, with which tools, and where their results go."""

from __future__ import annotations

from ringback_session.domain import replies
from ringback_session.domain.consultation import Consultation, ConsultPhase, TextMessage
from ringback_session.domain.effects import AskText, Note
from ringback_session.domain.rules import Tool
from ringback_session.domain.state import Action, CallState, HistoryItem, ReplyPurpose
from ringback_session.domain.step import Step
from ringback_session.domain.switching import offered

__all__ = ["agent_of", "ask", "deliver", "is_ours", "late", "open_actions", "tool_of"]

# Our own ids of a consultation's calls begin so; the model's own ids never do, they are kept apart by this.
PREFIX = "sup_"
OUTPUT_CHARS_MAX = 8_000
# All that the text model is told; a result for which there is no room is cut short.
MESSAGES_CHARS_MAX = 60_000
SHORT_CHARS = 300
LATE_CALLS_MAX = 32


def is_ours(state: CallState, call_id: str) -> bool:
    """Is it a call of a consultation, under way or over?"""
    consultation = state.team.consultation
    under_way = consultation is not None and call_id in consultation.open_calls
    return under_way or call_id in state.team.late_calls


def tool_of(state: CallState, call_id: str, name: str) -> Tool | None:
    """The tool that a call means: the consulted agent's for its calls, else the one of the agent on the line."""
    consultation = state.team.consultation
    if consultation is not None and call_id in consultation.open_calls:
        return consultation.tools.get(name)
    return state.tools.get(name)


def agent_of(state: CallState, call_id: str) -> str:
    """The consulted agent that made a call; empty for the agent on the line."""
    consultation = state.team.consultation
    ours = consultation is not None and call_id in consultation.open_calls
    return consultation.rules.agent if consultation is not None and ours else ""


def ask(step: Step, consultation: Consultation) -> None:
    """The next request to the text model; the last one that may be made has no tools: it must answer."""
    consultation.phase = ConsultPhase.ASKING
    consultation.steps += 1
    if step.state.ended or step.state.account.spent:
        # Nobody will hear the answer, and it would cost something.
        return
    last = consultation.steps >= consultation.rules.steps_max
    tools = () if last else tuple(offered(consultation.tools.values(), off=step.state.team.tools_off))
    step.effects.append(
        AskText(
            consult_id=consultation.consult_id,
            number=consultation.steps,
            messages=tuple(consultation.messages),
            tools=tools,
            timeout_ms=max(1, consultation.deadline_at_ms - step.at.now_ms),
        )
    )


def deliver(step: Step, call_id: str, output_json: str) -> bool:
    """Give a result to whom it belongs. Returns False when it is the model's on the line."""
    state = step.state
    consultation = state.team.consultation
    if consultation is not None and call_id in consultation.open_calls:
        theirs = consultation.open_calls.pop(call_id)
        room = MESSAGES_CHARS_MAX - sum(len(message.text) for message in consultation.messages)
        text = output_json[: max(SHORT_CHARS, min(OUTPUT_CHARS_MAX, room))]
        consultation.messages.append(TextMessage(role="tool", text=text, call_id=theirs))
        if not consultation.open_calls:
            ask(step, consultation)
        return True
    tool = state.team.late_calls.pop(call_id, None)
    if tool is None:
        return False
    # Nobody waits for it any more, but what was done must be known to whoever speaks with the caller.
    text = f"An action that the supervisor had begun has ended. {tool}: {output_json[:OUTPUT_CHARS_MAX]}"
    item = HistoryItem(item_id=state.new_id("item_"), kind="message", role="system", text=text)
    state.remember(item)
    step.effects.append(Note(item_id=item.item_id, role="system", text=text))
    if not state.handed_over:
        replies.want(step, ReplyPurpose.RESULT, request_key=state.reply_request_key)
    return True


def open_actions(step: Step, consultation: Consultation) -> list[Action]:
    """What it has under way."""
    ours = consultation.open_calls
    return [a for a in step.state.open_actions() if any(call_id in ours for call_id in a.call_ids)]


def late(step: Step, consultation: Consultation) -> None:
    """It is over before its tools are: their results go to the model on the line."""
    calls = step.state.team.late_calls
    for action in open_actions(step, consultation):
        for call_id in action.call_ids:
            if call_id in consultation.open_calls:
                calls[call_id] = action.tool
    for call_id in list(calls)[: max(0, len(calls) - LATE_CALLS_MAX)]:
        del calls[call_id]
