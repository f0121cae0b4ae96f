"""What the model says it used: read once, by kind, priced where a price is known and never guessed."""

import json
import math
from datetime import date
from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ringback_errors import ConfigError
from ringback_realtime import usage_object
from ringback_session.adapters.budgets_file import read_budgets
from ringback_session.adapters.prices_file import SHIPPED, load_prices
from ringback_session.domain.prices import PriceTable
from ringback_session.domain.usage import (
    MODELS_KEPT,
    PICO,
    Budget,
    Price,
    Tokens,
    Usage,
    charge,
    count,
    crossed,
)
from ringback_session.views.metering import METERED, RESPONSE_DONE, TRANSCRIBED, Metering

KINDS = Tokens.__struct_fields__
TOKENS = st.builds(Tokens, **{kind: st.integers(0, 10**6) for kind in KINDS})
PRICES = st.builds(
    Price,
    tokens=st.dictionaries(st.sampled_from(KINDS), st.integers(0, 10**9)),
    audio_ms=st.none() | st.integers(0, 10**9),
)
REPORTS = st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc"), TOKENS), max_size=30)


# Adding up.


@given(REPORTS)
def test_each_response_counts_once_however_often_it_is_told(reports):
    once, often = Usage(), Usage()
    for number, model, tokens in {
        number: (number, model, tokens) for number, model, tokens in reversed(reports)
    }.values():
        assert count(once, f"r:{number}", model, tokens, cost_pico=tokens.total, unpriced=1)
    for number, model, tokens in reports * 2:
        count(often, f"r:{number}", model, tokens, cost_pico=tokens.total, unpriced=1)
    assert (often.tokens, often.cost_pico, often.unpriced) == (once.tokens, once.cost_pico, once.unpriced)


@given(st.lists(TOKENS, max_size=20), PRICES)
def test_a_sum_costs_what_its_parts_cost_to_the_last_digit(parts, price):
    whole = Tokens()
    for part in parts:
        whole += part
    costs = [charge(part, price) for part in parts]
    assert charge(whole, price) == (sum(cost for cost, _ in costs), sum(left for _, left in costs))


@given(TOKENS, PRICES)
def test_every_token_is_priced_or_said_to_be_unpriced(tokens, price):
    cost, unpriced = charge(tokens, price)
    known = {kind for kind in KINDS if kind in price.tokens}
    expected = sum(getattr(tokens, kind) for kind in KINDS if kind not in known and kind != "audio_ms")
    expected += tokens.audio_ms if price.audio_ms is None else 0
    assert unpriced == expected
    assert cost >= 0


@given(TOKENS)
def test_an_unknown_model_costs_an_unknown_amount_and_not_nothing(tokens):
    assert charge(tokens, None) == (0, tokens.total + tokens.audio_ms)


def test_models_beyond_the_bound_are_counted_together():
    usage = Usage()
    for number in range(MODELS_KEPT + 5):
        count(usage, f"r:{number}", f"m{number}", Tokens(text_in=1), cost_pico=1, unpriced=0)
    assert len(usage.models) == MODELS_KEPT + 1
    assert usage.tokens == MODELS_KEPT + 5


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_a_limit_is_reached_when_it_is_spent_and_not_before(soft, more, cost, tokens):
    budget = Budget(soft_pico=soft, hard_pico=soft + more)
    level = crossed(budget, cost_pico=cost, tokens=tokens)
    assert (level == "hard") == (0 < soft + more <= cost)
    assert crossed(Budget(), cost_pico=cost, tokens=tokens) == ""


# Reading.


def done(response_id="resp_1", usage=None):
    return json.dumps({"type": RESPONSE_DONE, "response": {"id": response_id, "usage": usage}}).encode()


def metering(prices=None, model="gpt-x"):
    made = Metering(prices or PriceTable())
    session = {"model": model, "audio": {"input": {"transcription": {"model": "hears"}}}}
    made.read("session.created", json.dumps({"session": session}).encode())
    return made


def test_usage_is_read_by_kind_and_cached_tokens_are_in_no_other_count():
    usage = usage_object(
        input_text_tokens=100,
        input_audio_tokens=50,
        cached_text_tokens=64,
        cached_audio_tokens=10,
        output_text_tokens=7,
        output_audio_tokens=30,
    )
    (told,) = metering().read(RESPONSE_DONE, done(usage=usage))
    assert (told.model, told.response_id) == ("gpt-x", "resp_1")
    assert told.tokens == Tokens(
        text_in=36, text_cached=64, audio_in=40, audio_cached=10, text_out=7, audio_out=30
    )


def test_totals_without_details_have_no_known_kind_and_no_known_price():
    prices = PriceTable({"gpt-x": Price(tokens={"text_in": 1, "text_out": 1, "audio_in": 1, "audio_out": 1})})
    (told,) = metering(prices).read(RESPONSE_DONE, done(usage={"input_tokens": 10, "output_tokens": 5}))
    assert told.tokens == Tokens(other_in=10, other_out=5)
    assert (told.cost_pico, told.unpriced) == (0, 15)


def test_cached_tokens_without_details_are_text_first():
    details = {"text_tokens": 30, "audio_tokens": 40, "cached_tokens": 50}
    (told,) = metering().read(RESPONSE_DONE, done(usage={"input_tokens": 70, "input_token_details": details}))
    assert told.tokens == Tokens(text_cached=30, audio_cached=20, audio_in=20)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"type": "duration", "seconds": 2.5}, Tokens(audio_ms=2_500)),
        (
            {
                "type": "tokens",
                "input_tokens": 9,
                "output_tokens": 4,
                "input_token_details": {"audio_tokens": 9},
            },
            Tokens(audio_in=9, other_out=4),
        ),
    ],
)
def test_input_transcription_is_counted_under_its_own_model(usage, tokens):
    frame = json.dumps(
        {"type": TRANSCRIBED, "item_id": "item_1", "transcript": "Hi", "usage": usage}
    ).encode()
    (told,) = metering().read(TRANSCRIBED, frame)
    assert (told.model, told.item_id, told.tokens) == ("hears", "item_1", tokens)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_no_token_is_lost_or_counted_twice_whatever_the_details_say(total, text, audio, cached):
    details = {"text_tokens": text, "audio_tokens": audio, "cached_tokens": cached}
    raw = {"input_tokens": total, "input_token_details": details}
    found = metering().read(RESPONSE_DONE, done(usage=raw))
    counted = found[0].tokens.total if found else 0
    assert counted == max(total, text + audio)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from(sorted(METERED)))
def test_garbage_counts_as_nothing_and_breaks_nothing(value, type):
    made = metering()
    frames = [
        json.dumps(value).encode(),
        json.dumps({"response": value, "session": value, "item_id": "i", "usage": value}).encode(),
        json.dumps({"response": {"id": "r", "usage": value}}).encode(),
        b"{",
    ]
    for frame in frames:
        for told in made.read(type, frame):
            assert told.tokens.total >= 0


# Prices.


def test_the_shipped_table_says_where_each_price_comes_from_and_when():
    for entry in yaml.safe_load(SHIPPED.read_text())["models"]:
        assert entry["source"], entry["model"]
        assert isinstance(entry["as_of"], date), entry["model"]


def test_shipped_prices_are_read_to_the_last_digit():
    table = load_prices()
    price = table.find("gpt-realtime-2.1")
    assert charge(Tokens(audio_in=1_000_000), price) == (32 * PICO, 0)
    assert charge(Tokens(text_cached=1), price) == (400_000, 0)
    assert charge(Tokens(audio_ms=60_000), table.find("gpt-realtime-whisper"))[0] == pytest.approx(
        0.017 * PICO, abs=60_000
    )


def test_the_local_model_is_known_to_cost_nothing():
    assert charge(Tokens(text_in=5, audio_out=9), load_prices().find("ringback-local")) == (0, 0)


def test_a_dated_name_is_priced_as_the_name_and_a_stranger_is_not():
    table = load_prices()
    assert table.find("gpt-realtime-2-2026-05-07") == table.find("gpt-realtime-2")
    assert table.find("gpt-realtime-99") is None
    assert table.find("unknown") is None


ENTRY = {"model": "m", "source": "a page", "as_of": date(2026, 11, 1), "per_million_tokens": {"text_in": 1.1}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": 3}, r"models\[0\].model: expected a name"),
        ({"source": " "}, r"models\[0\].source: expected where"),
        ({"as_of": "lately"}, r"models\[0\].as_of: expected the day"),
        ({"per_million_tokens": {"text_in": -1}}, r"per_million_tokens.text_in: expected dollars"),
        ({"per_million_tokens": {"text_in": "many"}}, r"per_million_tokens.text_in: expected dollars"),
        ({"per_million_tokens": {"voice": 1}}, "per_million_tokens: expected prices for audio_cached"),
        ({"per_minute": math.inf}, "per_minute: expected dollars"),
        ({"price": 1}, r"models\[0\].price: expected one of"),
    ],
)
def test_a_bad_entry_is_refused_by_name(tmp_path, change, expected):
    path = tmp_path / "prices.yaml"
    path.write_text(yaml.safe_dump({"currency": "USD", "models": [ENTRY | change]}))
    with pytest.raises(ConfigError, match=expected):
        load_prices(path)


def test_a_table_that_is_none_is_refused(tmp_path):
    path = tmp_path / "prices.yaml"
    with pytest.raises(ConfigError, match=r"RINGBACK_PRICES_FILE: .* can not be read"):
        load_prices(path)
    for text in ("- 1", "currency: EUR\nmodels: []", "{", "currency: USD"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="expected"):
            load_prices(path)
    path.write_text(yaml.safe_dump({"currency": "USD", "models": [ENTRY, ENTRY]}))
    with pytest.raises(ConfigError, match="m is there twice"):
        load_prices(path)


@pytest.mark.parametrize("amount", ["0.000001", "0.1", "0.30", "1.25", "32", "0.015"])
def test_a_price_is_read_as_it_is_written(tmp_path, amount):
    path = tmp_path / "prices.yaml"
    path.write_text(
        "currency: USD\nmodels:\n"
        f"- {{model: m, source: a page, as_of: 2026-11-01, per_million_tokens: {{text_in: {amount}}}}}\n"
    )
    cost, _ = charge(Tokens(text_in=1_000_000), load_prices(path).find("m"))
    assert cost == Decimal(amount) * PICO


# Budgets as they are written down.


def test_budgets_are_read_and_their_defaults_bind_nobody():
    found = read_budgets(
        {"session": {"soft_usd": 0.5, "hard_usd": "2"}, "day": {"hard_tokens": 9}, "on_hard": "refuse"}, "x"
    )
    assert found.session == Budget(soft_pico=PICO // 2, hard_pico=2 * PICO)
    assert found.day == Budget(hard_tokens=9)
    assert found.on_hard == "refuse"
    assert read_budgets({}, "x").session == Budget()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], "x: expected a mapping"),
        ({"week": {}}, "x.week: expected one of session, day"),
        ({"session": {"usd": 1}}, "x.session.usd: expected one of"),
        ({"session": {"hard_usd": -1}}, "x.session.hard_usd: expected dollars"),
        ({"session": {"hard_usd": True}}, "x.session.hard_usd: expected dollars"),
        ({"session": {"soft_tokens": 1.5}}, "x.session.soft_tokens: expected a number of tokens"),
        ({"session": {"soft_usd": 3, "hard_usd": 2}}, "x.session: expected soft limits below"),
        ({"on_hard": "hang"}, "x.on_hard: expected end or refuse"),
        ({"say": 3}, "x.say: expected a text"),
    ],
)
def test_a_bad_budget_is_refused_by_name(data, expected):
    with pytest.raises(ConfigError, match=expected):
        read_budgets(data, "x")
