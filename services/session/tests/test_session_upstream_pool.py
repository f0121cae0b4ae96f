"""Connections that wait for calls: as many as configured, none too old, none dead, none for another model."""

import asyncio

import pytest
from ringback_testkit import FakeClock
from ringback_testkit.scripted_model import ScriptedModel
from session_upstream_kit import Listener, StallingWire, models_of, refused, spec

PATIENCE_S = 5


@pytest.fixture
async def model():
    async with ScriptedModel() as model:
        yield model


@pytest.fixture
async def opened():
    """Opens the pools of models, and closes them in the end."""
    every = []

    def open_(models):
        every.append(models)
        models.open()
        return models

    yield open_
    for models in every:
        await models.close()


def pool_of(models):
    return models.lanes[0].pool


async def until(true):
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.002)


async def filled(models, size=2):
    await until(lambda: len(pool_of(models)) == size)


async def test_a_call_begins_on_a_connection_that_was_there_and_another_takes_its_place(model, opened):
    models = opened(models_of(spec("main", model.url, pool_size=2)))
    await filled(models)
    listener = Listener()
    socket = await listener.connect(models)
    socket.send(b'{"type":"session.update"}')
    await model.connections[0].wait_for("session.update")
    await listener.until(lambda: listener.frames)
    await filled(models)
    assert len(model.connections) == 3


async def test_none_waits_where_none_was_configured(model, opened):
    models = opened(models_of(spec("main", model.url)))
    await Listener().connect(models)
    assert (len(model.connections), len(pool_of(models))) == (1, 0)


async def test_one_that_hung_up_is_never_given_to_a_call(model, opened):
    models = opened(models_of(spec("main", model.url, pool_size=2)))
    await filled(models)
    waiting = list(model.connections)
    waiting[0].lose()
    await until(lambda: waiting[0].closed)
    socket = await Listener().connect(models)
    socket.send(b'{"type":"session.update"}')
    await waiting[1].wait_for("session.update")


async def test_one_that_looks_alive_and_is_not_is_never_given_to_a_call(model, opened):
    async with StallingWire(model.url) as wire, ScriptedModel() as backup:
        main = spec("main", wire.url, pool_size=1, dial_timeout_ms=200)
        models = opened(models_of(main, spec("backup", backup.url)))
        await filled(models, 1)
        wire.stall()
        socket = await Listener().connect(models)
        socket.send(b'{"type":"session.update"}')
        await (await backup.connection()).wait_for("session.update")


async def test_one_that_has_waited_too_long_is_replaced(model, opened):
    clock = FakeClock()
    models = opened(models_of(spec("main", model.url, pool_size=1, pool_age_ms_max=60_000), clock=clock))
    await filled(models, 1)
    clock.advance(60_000)
    socket = await Listener().connect(models)
    socket.send(b'{"type":"session.update"}')
    await until(lambda: model.connections[0].closed)
    assert not model.connections[0].got("session.update")


async def test_the_time_that_it_waited_counts_towards_its_limit(model, opened):
    clock = FakeClock()
    models = opened(models_of(spec("main", model.url, pool_size=1, pool_age_ms_max=600_000), clock=clock))
    model.expires_at = clock.now_ms() // 1000 + 1_800
    await filled(models, 1)
    clock.advance(400_000)
    socket = await Listener().connect(models)
    assert socket.term.last_in_ms == 1_800_000 - 400_000 - 300_000


async def test_a_limit_that_only_we_know_counts_from_the_dial_too(model, opened):
    clock = FakeClock()
    models = opened(models_of(spec("main", model.url, pool_size=1, pool_age_ms_max=600_000), clock=clock))
    await filled(models, 1)
    clock.advance(400_000)
    socket = await Listener().connect(models)
    assert socket.term.last_in_ms == 3_600_000 - 400_000 - 300_000


async def test_one_for_another_model_is_left_where_it_is(model, opened):
    models = opened(models_of(spec("main", model.url, model="big", models={"small": "s"}, pool_size=1)))
    await filled(models, 1)
    await Listener().connect(models, model="small")
    assert model.asked[-1][0].endswith("model=s")
    assert len(pool_of(models)) == 1


async def test_an_upstream_that_comes_back_is_waited_for_with_pauses_and_filled_again(model, opened):
    model.refusal = refused(503)
    models = opened(models_of(spec("main", model.url, pool_size=1, failures_max=100)))
    await until(lambda: len(model.asked) >= 2)
    model.refusal = None
    await filled(models, 1)
    assert len(model.asked) < 10


async def test_what_waits_is_hung_up_on_in_the_end(model):
    models = models_of(spec("main", model.url, pool_size=3))
    models.open()
    await filled(models, 3)
    await models.close()
    await until(lambda: all(connection.closed for connection in model.connections))
    assert len(model.connections) == 3
