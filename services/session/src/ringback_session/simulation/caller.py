"""The caller and their client as one actor: speaks or types, listens, answers read-backs, loses the line, comes back.

It builds the conversation from the events alone, as a client does, and holds the session to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

import orjson

from ringback_session.simulation.listening import QUESTION, WORDS, Playing, Said, value_in
from ringback_session.simulation.services import CURSE, read_answer
from ringback_session.simulation.sound import FRAME_MS, SOUNDS, Sound
from ringback_session.simulation.tool_world import TOOLS
from ringback_session.simulation.weather import Weather

__all__ = ["Caller", "Line", "Said"]

# The owner's clock counts the samples of the microphone, whose frames are long here: so much may it be ahead.
CLOCK_AHEAD_MS: Final = 850
_COMMITS: Final = "input_audio_buffer.commit"
_ASKS: Final = "response.create"
_GARBAGE: Final = (
    b"{",
    b'{"type":"response.create","response":{"output_modalities":["smell"]}}',
    b'{"type":"conversation.item.truncate","item_id":"nobody","content_index":0,"audio_end_ms":1}',
    b'{"type":"conversation.item.create","item":{"type":"function_call_output","call_id":"x","output":"1"}}',
    b'{"type":"input_audio_buffer.append","audio":7}',
)


class Line(Protocol):
    """The connection to whoever answers now, as the client has it."""

    def up(self, frame: bytes) -> None: ...

    def hang_up(self) -> None: ...

    def breaks(self, *, noticed_after_ms: int) -> None: ...


@dataclass
class Caller:
    """`dial` makes a new connection: with no token a new session, else a resumed one."""

    weather: Weather
    dial: Callable[[Caller, str], None]
    answers: list[str]
    line: Line | None = None
    # The newest first. An older one is good until its successor has been used.
    tokens: list[str] = field(default_factory=list)
    resumed: bool = False
    gone: bool = False
    over: str = ""
    yeses: list[Said] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    open_responses: set[str] = field(default_factory=set)
    responses: set[str] = field(default_factory=set)
    calls: dict[str, str] = field(default_factory=dict)
    asked_to_run: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    # Of its calls: which item is whose output, and whose output it has deleted again.
    outputs: dict[str, str] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    heard_ms: int = -1
    _used: str = ""
    _events: set[str] = field(default_factory=set)
    _playing: list[Playing] = field(default_factory=list)
    _own_items: int = 0
    _speaking_until: int = 0
    _saying: list[str] = field(default_factory=list)

    @property
    def _sound(self) -> Sound:
        return SOUNDS[self.weather.plan.sound]

    # What the caller does.

    def says(self, text: str) -> None:
        """In words, or typed."""
        self.weather.note("caller", f"says {text!r}")
        if self.line is None:
            return
        if self.weather.plan.typed:
            self._agrees(text)
            self._type(text)
        else:
            # Two frames of sound: the silence after them ends the utterance, or the client does.
            self._saying += [text, text, *([_COMMITS, _ASKS] if self.weather.plan.manual else [])]

    def _agrees(self, text: str) -> None:
        if read_answer(text) == "yes":
            self.yeses.append(self._yes())

    def _type(self, text: str) -> None:
        self._own_items += 1
        content = [{"type": "input_text", "text": text or "…"}]
        item = {"id": f"item_own{self._own_items}", "type": "message", "role": "user", "content": content}
        self.sends("conversation.item.create", item=item)
        self.sends("response.create")

    def does(self, what: str) -> None:
        """One of the things that clients do besides talking."""
        self.weather.note("caller", what)
        if self.line is not None:
            self._DOES[what](self)

    def noise(self) -> None:
        self.says("")

    def mutters(self) -> None:
        """Something that is put in, and not asked to be answered."""
        self.says("Well, well.")
        if self._saying and self._saying[-1] is _ASKS:
            self._saying.pop()

    def interrupts(self) -> None:
        self.says("Hold on.")

    def murmurs(self) -> None:
        self.says("Mm-hm.")

    def cancels(self) -> None:
        self.sends("response.cancel")

    def truncates(self) -> None:
        if self._playing:
            self._truncate(self._playing[-1])

    def deletes(self) -> None:
        if self.items:
            self.sends("conversation.item.delete", item_id=self.items[len(self.items) // 2])

    def updates(self) -> None:
        self.sends("session.update", session={"type": "realtime", "instructions": "Be kind."})

    def asks_twice(self) -> None:
        self.sends("response.create")
        self.sends("response.create")

    def garbage(self) -> None:
        assert self.line is not None
        for frame in _GARBAGE:
            self.line.up(frame)

    def vanishes(self) -> None:
        assert self.line is not None
        self.gone = True
        self.line.breaks(noticed_after_ms=9_000)
        self.line = None

    def hangs_up(self) -> None:
        self.gone = True
        if self.line is not None:
            self.weather.note("caller", "hangs up")
            self.line.hang_up()
            self.line = None

    def sends(self, type: str, **fields: Any) -> None:
        if self.line is not None:
            self.line.up(orjson.dumps({"type": type, **fields}))

    def ticks(self) -> int:
        """A frame of the microphone; returns after how many ms the next one is due."""
        idle = not self._saying and self._silent_at() + 3_000 < self.weather.ms
        ms = FRAME_MS * (2 if idle else 1)
        if self.line is not None and not self.weather.plan.typed:
            if self._saying:
                self._agrees(self._saying[0])
                self.line.up(self._sound.speech_frame(self._saying.pop(0)))
                self._ends_its_turn()
            else:
                self.line.up(self._sound.silence(ms))
        return ms

    def _ends_its_turn(self) -> None:
        while self._saying and self._saying[0] in (_COMMITS, _ASKS):
            self.sends(self._saying.pop(0))

    # The line.

    def connected(self, line: Line, token: str) -> None:
        self.line = line
        self.resumed = bool(self.tokens)
        # A token is given with the connection: it may be good before a word has been said, or never become it.
        self._used = self.tokens[0] if self.tokens else ""
        self.tokens = [token, *self.tokens]
        self._events.clear()
        self.open_responses.clear()
        self._playing.clear()
        if not self.resumed:
            offered = {"type": "function", "name": "dim", "parameters": {"type": "object"}}
            self.sends("session.update", session={"type": "realtime", "tools": [offered]} | self._wishes())

    def _wishes(self) -> dict[str, Any]:
        plan = self.weather.plan
        format = {"format": self._sound.wire}
        wishes: dict[str, Any] = {"audio": {"input": dict(format), "output": format}}
        if plan.manual:
            wishes["audio"]["input"]["turn_detection"] = None
        if plan.text:
            wishes["output_modalities"] = ["text"]
        return wishes

    def line_closed(self, line: Line, code: int, reason: str) -> None:
        """The other side closed. What is not an end is a reason to come back."""
        if line is not self.line:
            return
        self.weather.note("caller", f"is cut off: {code} {reason[:60]}")
        self.line = None
        if code == 1000 or reason.startswith("session_expired"):
            self.over = reason or "closed"
        elif "invalid_resume_token" in reason:
            self._refused()
        else:
            self.dials_again(400)

    def _refused(self) -> None:
        """The next older token may still be good; when none is, the session must have ended."""
        self.tokens = [token for token in self.tokens[1:] if token != self._used]
        if self.tokens:
            self.dials_again(300)
        else:
            self.over = "refused"

    def loses_line(self, noticed_after_ms: int) -> None:
        """It breaks on the way; the client notices at once, the other side later."""
        if self.line is not None and not self.gone:
            line, self.line = self.line, None
            line.breaks(noticed_after_ms=noticed_after_ms)
            self.dials_again(300)

    def dials_again(self, after_ms: int) -> None:
        self.weather.later(after_ms, self._dial)

    def _dial(self) -> None:
        if self.line is None and not self.gone and not self.over:
            self.dial(self, self.tokens[0] if self.tokens else "")

    # What the client sees.

    def gets(self, line: Line, frame: bytes) -> None:
        if line is not self.line:
            return
        event = orjson.loads(frame)
        if event["event_id"] in self._events:
            self.weather.wrong(f"event_id {event['event_id']} came twice")
        self._events.add(event["event_id"])
        handle = self._GETS.get(event["type"])
        if handle is not None:
            handle(self, event)

    def _deleted(self, event: dict[str, Any]) -> None:
        self.items.remove(event["item_id"])
        self.withdrawn.add(self.outputs.get(event["item_id"], ""))

    def _error(self, event: dict[str, Any]) -> None:
        self.errors.append(f"{event['error']['code']}: {event['error']['message']}")
        self.weather.note("caller", f"gets error {self.errors[-1][:100]}")

    def _added(self, event: dict[str, Any]) -> None:
        item_id, previous = event["item"]["id"], event["previous_item_id"]
        if item_id in self.items:
            self.weather.wrong(f"the client is told twice of {item_id}")
            return
        if previous is not None and previous not in self.items and not self.resumed:
            # One who came back may have missed what came before.
            self.weather.wrong(f"the client does not know {previous}, after which {item_id} comes")
        if event["item"]["type"] == "function_call_output":
            self.outputs[item_id] = event["item"]["call_id"]
        at = 0 if previous not in self.items else self.items.index(previous) + 1
        self.items.insert(at, item_id)

    def _begins(self, event: dict[str, Any]) -> None:
        response = event["response"]
        response_id = response["id"]
        if response_id in self.responses:
            self.weather.wrong(f"the client is told twice of {response_id}")
        if self.open_responses and response["conversation_id"] is not None:
            self.weather.wrong(f"{response_id} begins before the client while another one is active")
        self.responses.add(response_id)
        if response["conversation_id"] is not None:
            self.open_responses.add(response_id)

    def _ends(self, event: dict[str, Any]) -> None:
        response = event["response"]
        if response["id"] not in self.open_responses and response["conversation_id"] is not None:
            self.weather.wrong(f"{response['id']} ends before the client without being active")
        self.open_responses.discard(response["id"])
        for item in self._playing:
            if item.response_id == response["id"] and item.text.endswith(QUESTION) and not item.asked:
                item.asked = True
                self._is_asked(item)

    def _audio(self, event: dict[str, Any]) -> None:
        if self.weather.plan.text:
            self.weather.wrong("the client asked for text and gets audio")
        now_ms, item = self.weather.ms, self._item(event)
        item.starts_ms = item.starts_ms if item.ms else max(now_ms, self._silent_at())
        item.ms += self._sound.ms_of(event["delta"])
        self.heard_ms = now_ms
        if event["response_id"] not in self.open_responses:
            self.weather.wrong(f"audio of {event['response_id']}, which is not active before the client")

    def _words(self, event: dict[str, Any]) -> None:
        item = self._item(event)
        item.text += event["delta"]
        if event["type"] == "response.output_text.delta":
            self.heard_ms = self.weather.ms
        if self.weather.plan.output == "blocking" and CURSE in item.text:
            self.weather.wrong("the caller hears what the output gate holds back")

    def _item(self, event: dict[str, Any]) -> Playing:
        for item in self._playing:
            if item.item_id == event["item_id"]:
                return item
        item = Playing(event["item_id"], self.weather.ms, response_id=event["response_id"])
        self._playing = [*self._playing[-6:], item]
        return item

    def _silent_at(self) -> int:
        return max((item.starts_ms + item.ms for item in self._playing if item.ms), default=0)

    def _done(self, event: dict[str, Any]) -> None:
        item = event["item"]
        if item["type"] != "function_call" or item["status"] != "completed":
            return
        if item["name"] in TOOLS:
            self.weather.wrong(f"the client sees a call of {item['name']}, which is not its own")
        if item["call_id"] in self.calls:
            self.weather.wrong(f"the client is asked twice for {item['call_id']}")
        self.calls[item["call_id"]] = item["name"]
        self.asked_to_run.append((item["name"], item["arguments"]))
        self.weather.later(700, lambda: self._runs(item["call_id"]))

    def _runs(self, call_id: str) -> None:
        item = {"type": "function_call_output", "call_id": call_id, "output": '{"dimmed":true}'}
        self.sends("conversation.item.create", item=item)
        self.sends("response.create")

    def _barges_in(self, event: dict[str, Any]) -> None:
        """The client stops its playback and says how far it had come."""
        for item in self._playing:
            if item.ms and item.starts_ms + item.ms > self.weather.ms:
                self._truncate(item)

    def _truncate(self, item: Playing) -> None:
        heard_ms = max(0, min(item.ms, self.weather.ms - item.starts_ms))
        item.ms = heard_ms
        self.sends("conversation.item.truncate", item_id=item.item_id, content_index=0, audio_end_ms=heard_ms)

    # Answers.

    def _is_asked(self, item: Playing) -> None:
        kind = self.answers.pop(0) if self.answers else "yes"
        ends_in_ms = max(0, item.starts_ms + item.ms - self.weather.ms)
        if kind == "silence":
            return
        wait_ms = ends_in_ms // 5 if kind == "early_yes" else ends_in_ms + 900
        self.weather.later(wait_ms, lambda: self.says(WORDS[kind]))
        if kind == "yes_no":
            self.weather.later(wait_ms + 1_000, lambda: self.says("No, wait!"))

    def _yes(self) -> Said:
        """A yes to the read-back that was played last past its value."""
        by_ms = self.weather.ms + (0 if self.weather.plan.typed else CLOCK_AHEAD_MS)
        for item in reversed(self._playing):
            if item.text.endswith(QUESTION) and (value := value_in(item, by_ms=by_ms)):
                return Said(self.weather.ms, value, item.item_id, item.text)
        return Said(self.weather.ms)

    _DOES: ClassVar[dict[str, Callable[[Caller], None]]] = {
        "noise": noise,
        "interrupts": interrupts,
        "murmurs": murmurs,
        "mutters": mutters,
        "cancels": cancels,
        "truncates": truncates,
        "deletes": deletes,
        "updates": updates,
        "asks_twice": asks_twice,
        "garbage": garbage,
        "hangs_up": hangs_up,
        "vanishes": vanishes,
    }
    _GETS: ClassVar[dict[str, Callable[[Caller, dict[str, Any]], None]]] = {
        "conversation.item.added": _added,
        "conversation.item.deleted": _deleted,
        "response.created": _begins,
        "response.done": _ends,
        "response.output_audio.delta": _audio,
        "response.output_audio_transcript.delta": _words,
        "response.output_text.delta": _words,
        "response.output_item.done": _done,
        "input_audio_buffer.speech_started": _barges_in,
        "error": _error,
    }
