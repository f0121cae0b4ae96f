"""C01 to C12: connecting, being let in, what a connection outlives, and how it ends."""

from __future__ import annotations

import asyncio
import time

from ringback_sockets import UpgradeRefused

from ringback_cli.caller.audio import silence
from ringback_cli.conformance.lab import Lab, expect, skip
from ringback_cli.conformance.probe import Event, MissingError, Probe, say_exactly, text_item
from ringback_cli.conformance.registry import check
from ringback_cli.conformance.texts import LONG

PONG_S_MAX = 5.0
APPEND_BYTES = 15 * 1024 * 1024
OVERSIZE_BYTES = 64 * 1024 * 1024
LIMIT_MS_WAITED_MAX = 120_000
SECRETS = "/client_secrets"


@check("C01", "With a bearer key the first frame is session.created with id, object, type, expires_at.")
async def first_frame(lab: Lab) -> str:
    async with lab.connect() as probe:
        first = probe.events[0]
        expect(first["type"] == "session.created", f"the first frame is {first['type']}")
        session = first["session"]
        lacking = [name for name in ("id", "object", "type", "expires_at") if not session.get(name)]
        expect(not lacking, f"session lacks {', '.join(lacking)}")
        expect(session["object"] == "realtime.session", f"object is {session['object']}")
        return f"{session['type']}, {session['model']}"


@check("C02", "A browser's subprotocol auth is answered by selecting exactly `realtime`.")
async def browser_auth(lab: Lab) -> str:
    offered = f"realtime, openai-insecure-api-key.{lab.target.key or 'none'}"
    async with lab.connect(headers={"Sec-WebSocket-Protocol": offered}) as probe:
        chosen = probe.link.response_headers.get("Sec-WebSocket-Protocol", "")
        expect(chosen == "realtime", f"selected {chosen!r}")
        return "101, realtime"


@check("C03", "A bad key gets HTTP 401, or an error and close 3000; never session.created.")
async def bad_key(lab: Lab) -> str:
    if lab.target.any_key:
        skip("this server takes any key")
    try:
        async with lab.connect(key="sk-this-is-no-key", greeted=False) as probe:
            closed = await probe.until_closed()
            kinds = [event["type"] for event in probe.events]
            expect("session.created" not in kinds, "session.created was sent")
            expect(kinds == ["error"] and closed.code == 3000, f"{kinds}, close {closed.code}")
            return f"error, close 3000 {closed.reason}"
    except UpgradeRefused as refused:
        expect(refused.status == 401, f"HTTP {refused.status}")
        return "HTTP 401"


@check("C04", "Without `model` the default model serves.")
async def default_model(lab: Lab) -> str:
    async with lab.connect(model=None) as probe:
        model = probe.events[0]["session"].get("model")
        expect(model, "session.model is empty")
        return str(model)


@check("C05", "An ek_ secret starts sessions with its config until it expires; running ones survive.")
async def client_secret_session(lab: Lab) -> str:
    session = {"type": "realtime", "instructions": "Be brief.", "output_modalities": ["text"]}
    status, secret = await lab.post(
        SECRETS, {"expires_after": {"anchor": "created_at", "seconds": 10}, "session": session}
    )
    _skip_unless_served(status, secret)
    expect(status == 200, f"POST client_secrets: HTTP {status} {secret}")
    async with (
        lab.connect(key=secret["value"]) as first,
        lab.connect(key=secret["value"]) as second,
    ):
        for probe in (first, second):
            created = probe.events[0]["session"]
            expect(created["instructions"] == "Be brief.", f"instructions: {created['instructions']!r}")
            expect(created["output_modalities"] == ["text"], f"modalities: {created['output_modalities']}")
        await asyncio.sleep(max(0.0, secret["expires_at"] + 1 - time.time()))
        await _refused_key(lab, secret["value"])
        await first.create(text_item("Hello"))
        done = await first.respond()
        expect(done["status"] == "completed", f"the running session: {done['status']}")
    return "used twice, refused after expiry, running session went on"


@check("C06", "Two sessions share no items and no events.")
async def isolation(lab: Lab) -> str:
    async with (
        lab.connect(output_modalities=["text"]) as one,
        lab.connect(output_modalities=["text"]) as other,
    ):
        mark = other.mark
        await one.create(text_item("This is mine.", id="item_of_one"))
        done = await one.respond(**say_exactly("Only one hears this."))
        foreign = await other.fence()
        expect(not foreign, f"the other session got {[event['type'] for event in foreign]}")
        for item_id in ("item_of_one", *(item["id"] for item in done["output"])):
            error = await other.refused("conversation.item.retrieve", item_id=item_id)
            expect(error["code"] == "item_retrieve_invalid_item_id", str(error))
        sessions = {probe.events[0]["session"]["id"] for probe in (one, other)}
        expect(len(sessions) == 2, "both sessions have one id")
        return f"{len(other.since(mark)) - 3} foreign events, foreign items unknown"


@check("C07", "A ping is answered within 5 s while a response is generated.")
async def pong(lab: Lab) -> str:
    async with lab.connect() as probe:
        mark = probe.send("response.create", response=say_exactly(LONG))
        await probe.until("response.output_audio.delta", after=mark)
        try:
            async with asyncio.timeout(PONG_S_MAX):
                trips = await probe.link.transport.measure_roundtrip_time(1)
        except TimeoutError:
            raise MissingError("no pong within 5 s") from None
        probe.send("response.cancel")
        return f"{trips[0] * 1000:.1f} ms"


@check("C08", "Malformed JSON or a missing type is an error; the session stays.")
async def malformed(lab: Lab) -> str:
    async with lab.connect() as probe:
        for frame in (b"{not json", b"[1, 2]", b'{"event_id": "no_type"}', b"17"):
            mark = probe.mark
            probe.send_raw(frame)
            await probe.until("error", after=mark)
        await probe.configure(instructions="Still here.")
        return f"{len(probe.errors)} errors, session goes on"


@check("C09", "An unknown client event is an error with its event_id echoed.")
async def unknown_type(lab: Lab) -> str:
    async with lab.connect() as probe:
        error = await probe.refused("no.such.event")
        await probe.configure()
        return str(error["code"])


@check("C10", "An append of 15 MiB is accepted; an oversize frame gets a defined close.")
async def big_append(lab: Lab) -> str:
    async with lab.connect() as probe:
        probe.append(silence(APPEND_BYTES // 2), bytes_per_ms=APPEND_BYTES)
        mark = probe.send("session.update", session={"type": "realtime"})
        answer = await probe.until("session.updated", "error", after=mark, timeout_s=60)
        expect(answer["type"] == "session.updated", str(answer.get("error")))
        probe.begin_frame(OVERSIZE_BYTES)
        closed = await probe.until_closed()
        expect(closed.code in (1008, 1009), f"the oversize frame: close {closed.code} {closed.reason}")
        return f"15 MiB taken; oversize: close {closed.code}"


@check("C11", "The session limit ends in the documented error or close 1001 with its reason.")
async def session_limit(lab: Lab) -> str:
    limit_ms = lab.target.session_ms_max
    if not 0 < limit_ms <= LIMIT_MS_WAITED_MAX:
        skip("the limit of this server is not known, or too long to wait for (--session-limit)")
    async with lab.connect() as probe:
        closed = await probe.until_closed(timeout_s=limit_ms / 1000 + 10)
        codes = [error.get("code") for error in probe.errors]
        documented = codes == ["session_expired"] or (closed.code == 1001 and closed.reason)
        expect(documented, f"errors {codes}, close {closed.code} {closed.reason}")
        return f"error {codes[0] if codes else 'none'}, close {closed.code}"


@check("C12", "POST client_secrets gives an ek_ value; its life is 10 to 7200 seconds.")
async def client_secret(lab: Lab) -> str:
    status, secret = await lab.post(SECRETS, {"session": {"type": "realtime"}})
    _skip_unless_served(status, secret)
    expect(status == 200, f"HTTP {status} {secret}")
    expect(str(secret["value"]).startswith("ek_"), "the value does not begin with ek_")
    left_s = secret["expires_at"] - time.time()
    expect(570 <= left_s <= 630, f"without expires_after it lives {left_s:.0f} s instead of 600")
    for seconds, wanted in ((10, 200), (7200, 200), (9, 400), (7201, 400)):
        got, _ = await lab.post(SECRETS, {"expires_after": {"anchor": "created_at", "seconds": seconds}})
        expect(got == wanted, f"{seconds} s: HTTP {got} instead of {wanted}")
    refused, _ = await lab.post(SECRETS, {}, key="sk-this-is-no-key")
    expect(refused == 401, f"a bad key: HTTP {refused} instead of 401")
    return "ek_…, 600 s by default, bounds kept"


def _skip_unless_served(status: int, answer: Event) -> None:
    """Not there, or refused by a server that takes no bodies and says nothing in the protocol's shape."""
    if status in (0, 404, 405) or (status >= 400 and "error" not in answer):
        skip("not served yet: this server makes no client secrets")


async def _refused_key(lab: Lab, key: str) -> None:
    try:
        async with lab.connect(key=key, greeted=False) as probe:
            await _never_greeted(probe)
    except UpgradeRefused as refused:
        expect(refused.status == 401, f"after expiry: HTTP {refused.status}")


async def _never_greeted(probe: Probe) -> None:
    await probe.until_closed()
    expect(not probe.since(0, "session.created"), "the secret still works after expiry")
