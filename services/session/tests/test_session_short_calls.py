"""Calls that are soon over: what they cost the upstream that served them."""

import asyncio

from ringback_session.adapters.models_ws import ModelsOverWebSocket
from ringback_session.adapters.upstream_source import UpstreamSource
from ringback_session.adapters.upstream_spec import Upstream
from ringback_testkit import FakeClock
from ringback_testkit.scripted_model import ScriptedModel

FAILURES_MAX = 2


class One(UpstreamSource):
    def __init__(self, upstream):
        self._upstream = upstream

    def current(self):
        return (self._upstream,)


async def test_short_calls_that_end_here_do_not_make_the_upstream_rest():
    async with ScriptedModel() as model:
        upstream = Upstream(
            name="main", kind="compatible", url=model.url, dial_attempts=1, failures_max=FAILURES_MAX
        )
        models = ModelsOverWebSocket(One(upstream), variable=lambda _: "", clock=FakeClock())
        for _ in range(3 * FAILURES_MAX):
            over = asyncio.Event()
            connected = await models.connect(
                model="gpt-realtime",
                purpose="start",
                on_frame=lambda _: None,
                on_lost=lambda _, over=over: over.set(),
            )
            connected.close()
            await asyncio.wait_for(over.wait(), 5)
        await models.close()
