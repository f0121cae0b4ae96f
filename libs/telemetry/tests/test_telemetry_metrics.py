"""Metrics have registered names and attributes that stay few."""

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from ringback_errors import InvalidInput
from ringback_telemetry import counter, gauge, histogram, names, setup


def test_values_reach_the_reader_with_unit_and_bounds():
    reader = InMemoryMetricReader()
    telemetry = setup("test", extra_reader=reader)
    histogram(names.Metric.POLICY_WAIT_MS).record(7, {names.Attr.EFFECT: "ALLOW"})
    counter(names.Metric.TURNS).add()
    gauge(names.Metric.SPOOL_DEPTH).set(3)
    data = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    telemetry.shutdown()
    found = {metric.name: metric for metric in data}
    wait = found["ringback.policy.wait"]
    assert wait.unit == "ms"
    assert wait.data.data_points[0].explicit_bounds == names.METRICS[names.Metric.POLICY_WAIT_MS].bounds
    assert found["ringback.turns"].data.data_points[0].value == 1
    assert found["ringback.spool.depth"].data.data_points[0].value == 3


def test_an_instrument_asked_for_before_set_up_does_not_stay_silent_after():
    histogram(names.Metric.POLICY_WAIT_MS).record(1)
    reader = InMemoryMetricReader()
    telemetry = setup("test", extra_reader=reader)
    histogram(names.Metric.POLICY_WAIT_MS).record(1)
    assert reader.get_metrics_data() is not None
    telemetry.shutdown()


@pytest.mark.parametrize(
    "use",
    [
        lambda: histogram("x"),
        lambda: counter(names.Metric.POLICY_WAIT_MS),
        lambda: gauge(names.Metric.TURNS),
        lambda: histogram(names.Metric.TURN_SPANS).record(1, {"x": 1}),
        lambda: counter(names.Metric.TURNS).add(1, {"x": 1}),
        lambda: gauge(names.Metric.SESSIONS).set(1, {"x": 1}),
    ],
)
def test_a_name_outside_the_registry_is_refused(use):
    with pytest.raises(InvalidInput, match="registry"):
        use()


def test_an_id_is_refused_as_an_attribute_of_a_metric():
    with pytest.raises(InvalidInput, match="too many values"):
        counter(names.Metric.TURNS).add(1, {names.Attr.SESSION_ID: "sess_a"})


def test_every_name_is_said_to_mean_something():
    for registry in (names.SPANS, names.EVENTS, names.ATTRIBUTES):
        assert all(description.endswith(".") or "…" in description for description in registry.values())
    assert all(known.description.endswith(".") and known.unit for known in names.METRICS.values())


def test_a_name_can_not_be_declared_twice():
    with pytest.raises(ValueError, match="twice"):
        names._span("turn", "Again.")
