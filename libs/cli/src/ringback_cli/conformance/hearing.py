"""C33 to C36: the input audio buffer as the client works it itself."""

from __future__ import annotations

from typing import Any

from ringback_cli.caller.audio import silence
from ringback_cli.conformance.lab import Lab, expect
from ringback_cli.conformance.probe import say_exactly
from ringback_cli.conformance.registry import check

MANUAL: dict[str, Any] = {"input": {"turn_detection": None}}
CHAIN = ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]


@check("C33", "append is not acknowledged.")
async def silent_append(lab: Lab) -> str:
    async with lab.connect() as probe:
        probe.append(silence(24_000))
        came = [event["type"] for event in await probe.fence()]
        expect(not came, f"came: {came}")
        return "nothing came"


@check("C34", "A commit of less than 100 ms is input_audio_buffer_commit_empty.")
async def short_commit(lab: Lab) -> str:
    async with lab.connect(audio=MANUAL) as probe:
        codes = [(await probe.refused("input_audio_buffer.commit"))["code"]]
        probe.append(silence(24 * 50))
        codes.append((await probe.refused("input_audio_buffer.commit"))["code"])
        expect(codes == ["input_audio_buffer_commit_empty"] * 2, f"codes: {codes}")
        return "empty and 50 ms refused"


@check("C35", "A commit is answered by committed, added, done, and makes no response.")
async def commit(lab: Lab) -> str:
    async with lab.connect(audio=MANUAL) as probe:
        probe.append(await lab.speech())
        mark = probe.send("input_audio_buffer.commit")
        await probe.until("conversation.item.done", after=mark)
        chain = probe.since(mark, *CHAIN)
        expect([event["type"] for event in chain] == CHAIN, f"order: {[e['type'] for e in chain]}")
        ids = {chain[0]["item_id"], chain[1]["item"]["id"], chain[2]["item"]["id"]}
        expect(len(ids) == 1, f"ids differ: {ids}")
        await probe.respond(**say_exactly("Only this."), metadata={"asked": "yes"})
        made = probe.since(mark, "response.created")
        expect(len(made) == 1, f"{len(made)} responses were made, one was asked for")
        return "one item; no response of its own"


@check("C36", "clear is answered by cleared; a commit then fails.")
async def clear(lab: Lab) -> str:
    async with lab.connect(audio=MANUAL) as probe:
        probe.append(silence(24_000))
        mark = probe.send("input_audio_buffer.clear")
        await probe.until("input_audio_buffer.cleared", after=mark)
        error = await probe.refused("input_audio_buffer.commit")
        expect(error["code"] == "input_audio_buffer_commit_empty", str(error))
        return f"cleared, then {error['code']}"
