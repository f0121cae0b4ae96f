"""The HTTP connector: what it sends, and what each answer means for a write."""

import asyncio
import gzip
import tracemalloc
from dataclasses import dataclass

import httpx
import pytest
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.http import HttpConnector
from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect
from ringback_tools.domain.results import Answered, ErrorCode, Failed
from ringback_tools.ports import Call

OPTIONS = {"base_url_ref": "shop", "method": "POST", "url": "/orders/{arguments.id}/cancel"}


@dataclass
class Raw:
    """What goes over the wire, which a Response would unpack at once."""

    content: bytes
    headers: dict[str, str]


def ask(answer, *, options=None, arguments=None, bytes_max=10_000, addresses=None, secrets=None, seen=None):
    def serve(request):
        if seen is not None:
            seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Raw):
            return httpx.Response(200, headers=answer.headers, stream=httpx.ByteStream(answer.content))
        # As from a socket: not read yet.
        stream = httpx.ByteStream(answer.content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)

    connector = HttpConnector(
        addresses=addresses if addresses is not None else {"shop": "http://shop.test/api/"},
        credentials=Credentials(secrets),
        transport=httpx.MockTransport(serve),
    )
    call = Call(
        spec=ConnectorSpec("http", {**OPTIONS, **(options or {})}),
        arguments=arguments or {"id": "a/b", "n": 3},
        timeout_ms=1_000,
        bytes_max=bytes_max,
        tenant="local",
        session_id="sess_1",
        action_id="act_1",
        side_effect=SideEffect.WRITE,
        key_field="Idempotency-Key",
        key="act_1",
    )

    async def scene():
        try:
            return await connector.call(call)
        finally:
            await connector.close()

    return asyncio.run(scene())


def test_a_request_is_made_from_templates_and_carries_the_key():
    seen = []
    options = {
        "query": {"n": "{arguments.n}", "none": "{arguments.no}"},
        "body": {"by": "{session_id}", "n": "{arguments.n}"},
    }
    options["headers"] = {"X-Tenant": "{tenant}", "X-None": "{arguments.no}"}
    answer = ask(httpx.Response(200, json={"ok": True}), options=options, seen=seen)
    assert answer == Answered({"ok": True}, status=200, body={"ok": True})
    sent = seen[0]
    assert str(sent.url) == "http://shop.test/api/orders/a%2Fb/cancel?n=3"
    assert sent.headers["idempotency-key"] == "act_1"
    assert sent.headers["x-tenant"] == "local"
    assert "x-none" not in sent.headers
    assert sent.content == b'{"by":"sess_1","n":3}'


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_an_argument_never_leads_to_another_path_than_the_pack_declared(part):
    seen = []
    answer = ask(httpx.Response(200, json={}), arguments={"id": part}, seen=seen)
    assert "empty, '.' or '..'" in answer.detail
    assert (answer.code, answer.in_doubt, answer.blames, seen) == (
        ErrorCode.INVALID_ARGUMENTS,
        False,
        False,
        [],
    )


def test_a_header_takes_what_is_not_ascii():
    seen = []
    options = {"headers": {"X-Name": "{arguments.name}"}}
    ask(httpx.Response(200, json={}), options=options, arguments={"id": "1", "name": "José"}, seen=seen)
    assert (b"X-Name", "José".encode()) in seen[0].headers.raw


@pytest.mark.parametrize(
    "options",
    [{"query": {"n": "{arguments.name}"}}, {"body": {"day": "{arguments.name|date}"}}],
    ids=["longer than a URL may be", "no date"],
)
def test_a_request_that_can_not_be_made_leaves_nothing_in_doubt(options):
    seen = []
    answer = ask(
        httpx.Response(200, json={}), options=options, arguments={"id": "1", "name": "n" * 70_000}, seen=seen
    )
    assert (answer.code, answer.in_doubt, answer.blames, seen) == (
        ErrorCode.INVALID_ARGUMENTS,
        False,
        False,
        [],
    )
    assert "nnn" not in answer.detail


def test_the_result_may_be_shaped():
    options = {"result": {"id": "{arguments.id}", "left": "{body.stock.left}", "gone": "{body.no}"}}
    answer = ask(httpx.Response(200, json={"stock": {"left": 2}}), options=options)
    assert answer.data == {"id": "a/b", "left": 2}


@pytest.mark.parametrize(
    ("status", "code", "retryable", "in_doubt", "definitive"),
    [
        (400, ErrorCode.INVALID_ARGUMENTS, False, False, True),
        (401, ErrorCode.AUTH, False, False, True),
        (403, ErrorCode.AUTH, False, False, True),
        (404, ErrorCode.NOT_FOUND, False, False, True),
        (409, ErrorCode.REJECTED, False, False, True),
        (422, ErrorCode.REJECTED, False, False, True),
        (429, ErrorCode.RATE_LIMITED, True, False, False),
        (302, ErrorCode.TOOL_UNAVAILABLE, False, True, False),
        (304, ErrorCode.TOOL_UNAVAILABLE, False, True, False),
        (500, ErrorCode.TOOL_UNAVAILABLE, True, True, False),
        (502, ErrorCode.TOOL_UNAVAILABLE, True, True, False),
        (503, ErrorCode.TOOL_UNAVAILABLE, True, True, False),
        (504, ErrorCode.TIMEOUT, True, True, False),
    ],
)
def test_what_a_status_means(status, code, retryable, in_doubt, definitive):
    answer = ask(httpx.Response(status, json={"error": {"message": "The order has left."}}))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.retryable, answer.in_doubt, answer.definitive) == (
        code,
        retryable,
        in_doubt,
        definitive,
    )
    assert answer.text == ("The order has left." if status in (400, 404, 409, 422) else "")


def test_declared_errors_win():
    options = {
        "errors": {
            "409": {"code": "not_found", "message": "No order {arguments.n}."},
            "5xx": {"code": "overloaded"},
        }
    }
    gone = ask(httpx.Response(409, json={}), options=options)
    assert (gone.code, gone.text) == (ErrorCode.NOT_FOUND, "No order 3.")
    busy = ask(httpx.Response(503), options=options)
    assert (busy.code, busy.retryable, busy.in_doubt) == (ErrorCode.OVERLOADED, True, True)


@pytest.mark.parametrize(
    ("value", "wait_ms"),
    [
        ("2", 2_000),
        ("99999", 60_000),
        ("9" * 5_000, 60_000),
        ("soon", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
    ],
)
def test_retry_after_is_read_and_bounded(value, wait_ms):
    answer = ask(httpx.Response(503, headers={"retry-after": value}))
    assert answer.retry_after_ms == wait_ms


@pytest.mark.parametrize(
    ("error", "code", "in_doubt"),
    [
        (httpx.ConnectError("no"), ErrorCode.TOOL_UNAVAILABLE, False),
        (httpx.ConnectTimeout("no"), ErrorCode.TOOL_UNAVAILABLE, False),
        (httpx.PoolTimeout("no"), ErrorCode.TOOL_UNAVAILABLE, False),
        (httpx.ReadTimeout("no"), ErrorCode.TIMEOUT, True),
        (httpx.ReadError("no"), ErrorCode.TOOL_UNAVAILABLE, True),
        (httpx.RemoteProtocolError("no"), ErrorCode.TOOL_UNAVAILABLE, True),
        (httpx.WriteError("no"), ErrorCode.TOOL_UNAVAILABLE, True),
    ],
)
def test_only_a_connection_that_never_came_about_leaves_no_doubt(error, code, in_doubt):
    answer = ask(error)
    assert (answer.code, answer.in_doubt, answer.retryable) == (code, in_doubt, True)


@pytest.mark.parametrize("raw", [b"<html>", b'{"a":', b"\xff\xfe"])
def test_garbage_in_a_good_answer_is_an_invalid_result_in_doubt(raw):
    answer = ask(httpx.Response(200, content=raw))
    assert (answer.code, answer.in_doubt) == (ErrorCode.INVALID_RESULT, True)


def test_an_answer_that_is_too_large_is_not_read_to_its_end():
    answer = ask(httpx.Response(200, content=b"[" + b"1," * 10_000), bytes_max=1_000)
    assert answer.code is ErrorCode.INVALID_RESULT
    assert "1000 bytes" in answer.detail


def test_a_packed_answer_is_unpacked_and_never_further_than_its_bound():
    def packed(raw, **options):
        headers = {"content-encoding": "gzip", "content-type": "application/json"}
        return ask(Raw(raw, headers), **options)

    assert packed(gzip.compress(b'{"ok": true}')).data == {"ok": True}
    little = gzip.compress(b" " * 40_000_000)
    tracemalloc.start()
    try:
        bomb = packed(little, bytes_max=100_000)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (bomb.code, bomb.detail) == (ErrorCode.INVALID_RESULT, "more than 100000 bytes")
    assert most < 5_000_000
    for broken in (b"no gzip", gzip.compress(b'{"ok": true}')[:-12]):
        answer = packed(broken)
        assert (answer.code, answer.detail) == (ErrorCode.INVALID_RESULT, "broken JSON")


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("text/html; charset=utf-8", "no JSON, but text/html"),
        ("application/json", "broken JSON"),
        ("application/problem+json", "broken JSON"),
        ("", "no JSON"),
        ("secret words / <b>", "no JSON"),
    ],
)
def test_what_came_in_place_of_json_is_named(kind, detail):
    answer = ask(httpx.Response(200, content=b"<html>", headers={"content-type": kind}))
    assert (answer.code, answer.detail) == (ErrorCode.INVALID_RESULT, detail)


def test_an_address_that_is_not_set_is_named():
    answer = ask(httpx.Response(200), addresses={})
    assert (answer.code, answer.detail) == (
        ErrorCode.TOOL_UNAVAILABLE,
        "no address is set for connector shop (RINGBACK_CONNECTOR_SHOP)",
    )


def test_a_secret_is_sent_by_reference_and_follows_its_file(tmp_path):
    seen = []
    (tmp_path / "shop_token").write_text("first\n")
    ask(httpx.Response(200, json={}), options={"credential": "shop_token"}, secrets=tmp_path, seen=seen)
    assert seen[0].headers["authorization"] == "Bearer first"
    missing = ask(httpx.Response(200), options={"credential": "other"}, secrets=tmp_path)
    assert (missing.code, missing.blames) == (ErrorCode.AUTH, False)


def test_a_rotated_secret_is_read_without_a_restart(tmp_path):
    credentials = Credentials(tmp_path)
    assert credentials.get("token") is None
    (tmp_path / "token").write_text("first")
    assert credentials.get("token") == "first"
    (tmp_path / "token").write_text("second one")
    assert credentials.get("token") == "second one"
    assert credentials.get("../token") is None
    assert "second" not in repr(credentials)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_nor_repeated_and_what_was_expected_is_said(status):
    seen = []
    away = {"location": "http://169.254.169.254/?token=secret"}
    answer = ask(httpx.Response(status, headers=away), seen=seen)
    assert len(seen) == 1
    # It speaks of a wrong address, not of a system that is ill: no retry, no breaker, and a write stays in doubt.
    assert (answer.code, answer.retryable, answer.blames) == (ErrorCode.TOOL_UNAVAILABLE, False, False)
    assert (answer.in_doubt, answer.definitive) == (True, False)
    expected = "expected an answer of the address itself; no redirect is followed"
    assert answer.detail == f"HTTP {status}: {expected}"


def test_what_a_system_leaves_behind_at_one_call_goes_with_no_other():
    seen = []

    def serve(request):
        seen.append(request)
        stream = httpx.ByteStream(b"{}")
        return httpx.Response(200, headers={"set-cookie": "who=maria; Path=/"}, stream=stream)

    connector = HttpConnector(
        addresses={"shop": "http://shop.test"},
        credentials=Credentials(None),
        transport=httpx.MockTransport(serve),
    )
    spec = ConnectorSpec("http", {"base_url_ref": "shop", "method": "GET", "url": "/orders"})

    async def scene():
        for session_id in ("sess_1", "sess_2"):
            await connector.call(Call(spec, {}, 1_000, 10_000, "local", session_id, "act_1", SideEffect.READ))
        await connector.close()

    asyncio.run(scene())
    assert [request.headers.get("cookie") for request in seen] == [None, None]


def test_a_request_says_whose_it_is_and_an_addresss_user_is_sent_as_such():
    seen = []
    ask(httpx.Response(200, json={}), addresses={"shop": "http://desk:hush@shop.test/api"}, seen=seen)
    assert seen[0].headers["authorization"] == "Basic ZGVzazpodXNo"
    assert seen[0].headers["user-agent"] == "ringback-tools"
    assert seen[0].url.host == "shop.test"
