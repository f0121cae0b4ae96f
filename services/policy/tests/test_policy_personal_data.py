"""Personal data in text: what is found, what is left alone, and what stands in its place in what is kept."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_policy.domain.masking import masked
from ringback_policy.domain.redaction import KINDS, Redactor
from ringback_policy.usecases.personal_data import Sample, measure_samples, samples

EVERY = Redactor(KINDS)
HELD = [sample for sample in samples() if sample.kind]
FREE = [sample for sample in samples() if not sample.kind]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_personal_in_the_made_texts_is_found_whole_and_nothing_else(kind):
    (found,) = [one for one in measure_samples(samples()) if one.kind == kind]
    assert found.missed == ()
    assert found.wrong == ()
    assert found.recall.total >= 48


@pytest.mark.parametrize("sample", FREE, ids=lambda sample: sample.text[:30])
def test_other_numbers_are_left_alone(sample: Sample):
    assert EVERY.spans(sample.text) == []


@pytest.mark.parametrize("sample", HELD[::7], ids=lambda sample: sample.text[:30])
def test_a_mask_leaves_nothing_of_the_value_and_the_form_as_it_was(sample: Sample):
    start, end = sample.span
    out = masked(sample.text)
    assert len(out) == len(sample.text)
    assert out[:start] + out[end:] == sample.text[:start] + sample.text[end:]
    assert out[start:end] != sample.text[start:end]


def test_a_masked_value_is_still_one_of_its_kind_and_json_stays_json():
    text = json.dumps({"card": 4111111111111111, "said": "jo@example.com or (212) 555-0147", "amount": 240})
    out = masked(text)
    assert json.loads(out)["amount"] == 240
    assert "4111111111111111" not in out
    assert [EVERY.spans(out), len(out)] == [EVERY.spans(text), len(text)]


@given(st.text(max_size=300))
def test_any_text_has_spans_inside_it_and_a_mask_of_its_length(text):
    spans = EVERY.spans(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))
    assert len(masked(text)) == len(text)


@given(st.text(alphabet="0123456789 -.+()@a", max_size=200))
def test_no_heap_of_digits_and_signs_is_too_much(text):
    assert len(masked(text)) == len(text)
