"""Upstreams over real sockets: what is wrong is named, the next one takes over, a breaker opens and closes again."""

import asyncio

import pytest
from ringback_errors import RingbackError
from ringback_realtime import Close, ProtocolError, closes
from ringback_session.domain.model_problem import ModelProblem
from ringback_testkit import FakeClock, free_port
from ringback_testkit.scripted_model import ScriptedModel
from session_upstream_kit import Listener, StallingWire, models_of, refused, spec

KEY = "sk-not-to-be-seen"


@pytest.fixture
async def model():
    async with ScriptedModel() as model:
        yield model


@pytest.fixture
async def backup():
    async with ScriptedModel() as model:
        yield model


async def problem_with(models, **asked):
    with pytest.raises(ModelProblem) as caught:
        await Listener().connect(models, **asked)
    assert KEY not in str(caught.value)
    assert "secret words" not in str(caught.value), "the provider's own words may repeat a part of the key"
    assert "127.0.0.1" not in str(caught.value), "its address is nothing to a client"
    return caught.value


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (401, "upstream_auth_refused"),
        (403, "upstream_auth_refused"),
        (404, "upstream_model_unknown"),
        (429, "upstream_rate_limited"),
        (500, "upstream_busy"),
        (400, "upstream_refused"),
    ],
)
async def test_a_refused_upgrade_becomes_a_problem_with_a_name(model, status, problem):
    model.refusal = refused(status)
    found = await problem_with(models_of(spec("main", model.url)))
    assert found.problem == problem
    assert str(found).startswith("upstream 'main' ")
    assert f"HTTP {status}" in str(found)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("invalid_api_key", "upstream_auth_refused"),
        ("insufficient_quota", "upstream_quota_exhausted"),
        ("rate_limit_exceeded", "upstream_rate_limited"),
        ("model_not_found", "upstream_model_unknown"),
        ("beta_api_shape_disabled", "upstream_refused"),
    ],
)
async def test_a_provider_that_greets_with_an_error_has_not_taken_the_call(model, code, problem):
    model.greeting = ProtocolError(code, "secret words of the provider")
    found = await problem_with(models_of(spec("main", model.url)))
    assert (found.problem, code in str(found)) == (problem, True)


async def test_one_that_hangs_up_instead_of_greeting_is_told_by_its_close(model):
    model.greeting = False
    connecting = asyncio.ensure_future(problem_with(models_of(spec("main", model.url))))
    (await model.connection()).hang_up(Close(3000, "invalid_request_error.invalid_api_key"))
    assert (await connecting).problem == "upstream_auth_refused"


async def test_one_that_is_not_there_or_does_not_answer_in_time_is_unreachable(model):
    nobody = models_of(spec("main", f"ws://127.0.0.1:{free_port()}/v1/realtime"))
    found = await problem_with(nobody)
    assert (found.problem, "Connection refused" in str(found)) == ("upstream_unreachable", True)
    async with StallingWire(model.url) as wire:
        wire.stall()
        found = await problem_with(models_of(spec("main", wire.url, dial_timeout_ms=100)))
        assert "answer within 100 ms" in str(found)


async def test_one_that_takes_the_connection_and_says_nothing_is_unreachable(model):
    model.greeting = False
    found = await problem_with(models_of(spec("main", model.url, dial_timeout_ms=100)))
    assert found.problem == "upstream_unreachable"


async def test_one_that_is_known_to_greet_nobody_is_not_waited_for(model):
    model.greeting = False
    assert await Listener().connect(models_of(spec("main", model.url, greets=False)))


async def test_a_hiccup_is_dialled_again_and_a_refusal_is_not(model):
    model.refusal = refused(401)
    await problem_with(models_of(spec("main", model.url, dial_attempts=3)))
    assert len(model.asked) == 1
    model.refusal, model.greeting = None, False
    models = models_of(spec("main", model.url, dial_attempts=3))
    connecting = asyncio.ensure_future(Listener().connect(models))
    (await model.connection(1)).lose()
    second = await model.connection(2)
    second.emit(second.events.session_created(second._config))
    assert await connecting


async def test_a_rate_limit_with_its_time_is_passed_on_and_the_upstream_rests_so_long(model):
    clock = FakeClock()
    model.refusal = refused(429, retry_after_s=7)
    models = models_of(spec("main", model.url), clock=clock)
    found = await problem_with(models)
    assert (found.retry_after_ms, "try again in 7 s" in str(found)) == (7_000, True)
    model.refusal = None
    clock.advance(5_000)
    again = await problem_with(models)
    assert (again.problem, again.retry_after_ms) == ("upstream_rate_limited", 2_000)
    assert len(model.asked) == 1, "it was left alone"
    clock.advance(2_000)
    assert await Listener().connect(models)


async def test_the_second_of_the_list_takes_over_and_the_first_gets_its_calls_back(model, backup):
    clock = FakeClock()
    models = models_of(spec("main", model.url), spec("backup", backup.url), clock=clock)
    await Listener().connect(models)
    model.refusal = refused(503)
    for number in (1, 2, 3):
        await Listener().connect(models)
        assert len(backup.connections) == number
    assert len(model.asked) == 3, "after two failures its breaker keeps calls away"
    model.refusal = None
    await Listener().connect(models)
    assert len(model.asked) == 3
    clock.advance(10_000)
    await Listener().connect(models)
    assert (len(model.connections), len(backup.connections)) == (2, 4)
    assert models.lanes[0].state.value == "closed"


async def test_when_none_takes_the_call_each_is_named_with_what_is_wrong(model, backup):
    model.refusal, backup.refusal = refused(401), refused(429, retry_after_s=3)
    found = await problem_with(models_of(spec("main", model.url), spec("backup", backup.url)))
    assert (found.problem, found.retry_after_ms) == ("upstream_auth_refused", 3_000)
    assert "'main' refused the credentials" in str(found)
    assert "'backup' limits our rate" in str(found)


async def test_who_is_refused_by_all_is_told_of_the_one_that_takes_calls_again_first(model, backup):
    model.refusal, backup.refusal = refused(429, retry_after_s=9), refused(429, retry_after_s=3)
    found = await problem_with(models_of(spec("main", model.url), spec("backup", backup.url)))
    assert found.retry_after_ms == 3_000


async def test_an_open_breaker_says_so_and_when_to_come_back(model):
    model.refusal = refused(503)
    models = models_of(spec("main", model.url))
    for _ in range(2):
        await problem_with(models)
    found = await problem_with(models)
    assert (found.problem, "failed too often" in str(found)) == ("upstream_unreachable", True)
    assert found.retry_after_ms == 10_000


async def test_an_unknown_model_is_no_reason_to_keep_other_calls_away(model):
    models = models_of(spec("main", model.url))
    model.refusal = refused(404)
    for _ in range(5):
        assert (await problem_with(models)).problem == "upstream_model_unknown"


async def test_one_that_drops_what_it_took_is_given_up_on_although_it_greets(model, backup):
    models = models_of(spec("main", model.url), spec("backup", backup.url))
    for number in (1, 2):
        listener = Listener()
        await listener.connect(models)
        (await model.connection(number)).lose()
        await listener.until(lambda listener=listener: listener.lost)
        assert listener.lost == ["closed_1006"]
    await Listener().connect(models)
    assert len(backup.connections) == 1


async def test_a_half_open_connection_is_found_out_by_a_ping(model):
    async with StallingWire(model.url) as wire:
        listener = Listener()
        await listener.connect(models_of(spec("main", wire.url, ping_idle_ms=100, pong_wait_ms=100)))
        wire.stall()
        await listener.until(lambda: listener.lost)


async def test_the_providers_limit_is_known_by_its_own_word(model):
    listener = Listener()
    await listener.connect(models_of(spec("main", model.url)))
    (await model.connection()).hang_up(closes.session_expired(3_600_000))
    await listener.until(lambda: listener.lost)
    assert listener.lost == ["session_expired"]


async def test_a_connection_is_to_be_replaced_within_its_configured_limit(model):
    clock = FakeClock()
    models = models_of(spec("main", model.url), clock=clock)
    socket = await Listener().connect(models)
    assert (socket.term.rotate_in_ms, socket.term.last_in_ms) == (50 * 60_000, 55 * 60_000)
    clock.advance(50 * 60_000)
    assert (socket.term.rotate_in_ms, socket.term.last_in_ms) == (1, 5 * 60_000)


@pytest.mark.parametrize(("left_s", "expected_s"), [(1_800, 1_800), (0, 3_600), (-5, 3_600), (7_200, 3_600)])
async def test_what_the_model_says_of_its_end_counts_if_it_is_sound(model, left_s, expected_s):
    clock = FakeClock()
    model.expires_at = clock.now_ms() // 1000 + left_s
    fields = {"rotate_before_ms": 600_000, "rotate_at_last_ms": 300_000}
    socket = await Listener().connect(models_of(spec("main", model.url, **fields), clock=clock))
    assert socket.term.last_in_ms == expected_s * 1000 - 300_000


@pytest.mark.parametrize(
    ("asked", "given"), [("gpt-realtime-mini", "mini-deployed"), ("gpt-realtime", "big"), ("", "big")]
)
async def test_each_upstream_has_its_own_names_of_models(model, asked, given):
    models = models_of(spec("main", model.url, model="big", models={"gpt-realtime-mini": "mini-deployed"}))
    await Listener().connect(models, model=asked)
    assert model.asked[0][0] == f"/v1/realtime?model={given}"


async def test_what_a_client_asks_for_is_not_passed_on_unasked(model):
    await Listener().connect(models_of(spec("main", model.url)), model="the-dearest-of-all")
    assert model.asked[0][0] == "/v1/realtime"


async def test_a_first_frame_that_is_no_greeting_is_not_lost(model):
    model.greeting = False
    listener = Listener()
    connecting = asyncio.ensure_future(listener.connect(models_of(spec("main", model.url))))
    connection = await model.connection()
    connection.say("rate_limits.updated", rate_limits=[])
    await connecting
    assert b"rate_limits.updated" in listener.frames[0]


def test_a_problem_survives_being_sent_elsewhere():
    import pickle

    found = pickle.loads(pickle.dumps(ModelProblem("m", problem="upstream_busy", retry_after_ms=5)))
    assert isinstance(found, RingbackError)
    assert (found.message, found.problem, found.retry_after_ms) == ("m", "upstream_busy", 5)
