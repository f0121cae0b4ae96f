"""How a request waits for the state that it names."""

import pytest
from ringback_errors import NotFound, Unavailable
from ringback_memory.domain.events import Position
from ringback_memory.ports import SessionKey
from ringback_memory.usecases.reading import read_view

KEY = SessionKey("local", "sess_1")


class Ticking:
    """A clock that every look at it moves on."""

    def __init__(self):
        self.now = 0

    def monotonic_ms(self):
        self.now += 10
        return self.now


class Looks:
    """Sessions of which nothing is known, at a store that answers the first `answers` looks only."""

    def __init__(self, answers):
        self.left = answers

    async def view(self, key, *, at_least, timeout_ms):
        self.left -= 1
        if self.left < 0:
            raise Unavailable("no answer")
        return

    async def changed(self, key, *, timeout_ms):
        return None


@pytest.mark.parametrize(("answers", "error"), [(1, NotFound), (3, NotFound), (0, Unavailable)])
async def test_a_last_look_that_had_no_time_does_not_hide_what_was_seen_before(answers, error):
    with pytest.raises(error):
        await read_view(Looks(answers), KEY, at_least=Position(1, 1), deadline_ms=100, clock=Ticking())
