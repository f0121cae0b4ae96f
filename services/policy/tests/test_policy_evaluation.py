"""The measurement of consent reading: its figures, its intervals, and what it says of data it cannot read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_policy.evaluation import main
from ringback_policy.usecases.measuring import interval

PAIRS = [
    {"assistant": "A table for two at seven?", "user": "Yes please.", "label": "affirm"},
    {"assistant": "A table for two at seven?", "user": "Make it eight.", "label": "negate"},
    {"assistant": "A table for two at seven?", "user": "No.", "label": "negate"},
    {"assistant": "A table for two at seven?", "user": "Who is there?", "label": "affirm"},
]


def test_each_pair_is_written_with_its_label_and_its_reading(tmp_path, capsys):
    data, out = tmp_path / "pairs.jsonl", tmp_path / "out.jsonl"
    data.write_text("\n".join(json.dumps(pair) for pair in PAIRS) + "\n\n")
    assert main(["consent", "--data", str(data), "--json", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["label"], row["read"]) for row in rows] == [
        ("affirm", "yes"),
        ("negate", "correction"),
        ("negate", "no"),
        ("affirm", "unclear"),
    ]
    said = capsys.readouterr().out
    assert "refusals read as a yes: 0 of 2" in said
    assert "yes recognised:         1 of 2, 50.00%" in said
    assert "contrast set" in said
    assert "Nothing is fitted" in said


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("not json", "expected a JSON object on each line"),
        ("[1]", "expected a JSON object on each line"),
        ('{"assistant": "a", "user": "b", "label": "maybe"}', "expected affirm or negate"),
        ('{"assistant": "a", "label": "affirm"}', "expected the field user"),
        ('{"assistant": 1, "user": "b", "label": "affirm"}', "Expected `str`"),
        ("", "expected 1 to"),
    ],
)
def test_data_that_cannot_be_read_is_refused_with_its_line(tmp_path, capsys, line, expected):
    data = tmp_path / "pairs.jsonl"
    data.write_text(line)
    assert main(["consent", "--data", str(data)]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert "pairs.jsonl" in error


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["consent", "--data", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl" in capsys.readouterr().err


def test_the_interval_is_the_one_of_clopper_and_pearson():
    # With no success of n the upper end is 1 - 0.025 ** (1 / n).
    assert interval(0, 444)[1] == pytest.approx(1 - 0.025 ** (1 / 444))
    assert interval(10, 10) == (pytest.approx(0.025 ** (1 / 10)), 1.0)
    assert interval(5, 10) == (pytest.approx(0.18709, abs=1e-5), pytest.approx(0.81291, abs=1e-5))
    assert interval(0, 0) == (0.0, 1.0)


@given(total=st.integers(1, 60), data=st.data())
def test_the_interval_holds_the_share(total, data):
    count = data.draw(st.integers(0, total))
    low, high = interval(count, total)
    assert 0 <= low <= count / total <= high <= 1
