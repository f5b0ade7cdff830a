import re
from base64 import b64decode
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from harness.domain.query import Phase
from harness.report.charts import Percentile, distribution, over_time, rate_search
from harness.report.series import (
    Curve,
    Panel,
    Probe,
    envelope,
    latencies_s,
    latency_panel,
    measured_s,
    probes,
    reading_panel,
)
from harness.testing.builders import a_trial_record, some_latencies

PREFIX = "data:image/svg+xml;base64,"


def _texts(image: str) -> list[str]:
    root = ET.fromstring(_svg(image))  # noqa: S314 - our own bytes
    return [t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text")]


def _svg(image: str) -> str:
    assert image.startswith(PREFIX)
    return b64decode(image.removeprefix(PREFIX)).decode()


def _panel(values: list[float]) -> Panel:
    times = np.arange(len(values), dtype=float)
    curve = envelope(times, np.asarray(values), bins=50)
    return Panel(label="run 1", curve=curve, shaded=((Phase.WARM_UP.value, 0.0, 1.0),))


def test_the_same_curves_give_the_same_bytes() -> None:
    values = some_latencies(500) / 1e9

    first, second = (distribution([values], []) for _ in range(2))

    assert first == second


def test_percentiles_are_named_in_the_chart_with_digits_that_tell_them_apart() -> None:
    values = some_latencies(500, sigma=0.0005) / 1e9
    marks = [
        Percentile(name="p50", value_s=0.02001),
        Percentile(name="p90", value_s=0.02003, lower_s=0.02002, upper_s=0.02004),
    ]

    texts = _texts(distribution([values], marks))

    assert "p50 20.01 ms" in texts
    assert "p90 20.03 ms" in texts


def test_neighbouring_ticks_never_bear_the_same_number() -> None:
    values = some_latencies(500, sigma=0.0005) / 1e9

    texts = [t for t in _texts(distribution([values], [])) if re.match(r"^20\.", t)]

    assert len(texts) >= 2
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    "values",
    [[0.02] * 50, [0.02], [0.0, 0.0], [1e-6, 1e-3, 1.0, 100.0], [0.0, 0.5, 9.0]],
)
def test_odd_distributions_are_drawn(values: list[float]) -> None:
    image = distribution([np.asarray(values)], [Percentile(name="p50", value_s=0.02)])

    assert _svg(image).startswith("<svg")


@pytest.mark.parametrize("values", [[5.0], [0.0, 0.0, 0.0], [1.0, 2.0, 50.0] * 100])
def test_odd_curves_are_drawn(values: list[float]) -> None:
    image = over_time([_panel(values)], "W", limit=60.0)

    assert _svg(image).startswith("<svg")


def test_a_search_shows_its_bound_and_its_probes() -> None:
    found = [
        Probe(rate_hz=rate, latency_s=latency, queries=100)
        for rate, latency in ((10.0, 0.02), (40.0, 0.09), (20.0, 0.03))
    ]

    svg = _svg(rate_search(found, 0.05))

    assert svg.count("#1f5f99") >= 2
    assert "#b3541e" in svg


def test_charts_hold_no_word_that_needs_a_chinese_font() -> None:
    image = over_time([_panel([1.0, 2.0, 3.0])], "B")

    assert not re.search(r"[\u4e00-\u9fff]", _svg(image))
    assert "<text" in _svg(image)


def test_an_envelope_keeps_the_least_and_the_greatest_value() -> None:
    values = np.random.default_rng(3).normal(size=10_000)
    values[1234], values[8765] = -99.0, 99.0

    curve = envelope(np.arange(10_000.0), values, bins=60)

    assert isinstance(curve, Curve)
    assert len(curve.times_s) == 60
    assert curve.low.min() == -99.0
    assert curve.high.max() == 99.0
    assert (curve.low <= curve.middle).all()
    assert (curve.middle <= curve.high).all()


def test_an_envelope_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a value"):
        envelope(np.empty(0), np.empty(0), bins=10)


def test_warm_up_is_drawn_and_shaded_but_not_in_the_distribution() -> None:
    trial = a_trial_record()
    assert trial.queries is not None

    panel = latency_panel(trial, bins=1000)

    assert panel is not None
    assert len(measured_s(trial)) == len(latencies_s(trial.queries)) - 8
    assert panel.shaded[0][0] == Phase.WARM_UP.value
    assert len(panel.curve.times_s) == len(trial.queries)


def test_a_power_trace_is_shaded_by_the_phases_of_the_same_clock() -> None:
    trial = a_trial_record()

    panel = reading_panel(trial, "power", bins=100)

    assert panel is not None
    kinds = [kind for kind, *_ in panel.shaded]
    assert kinds == [
        Phase.WARM_UP.value,
        Phase.MEASURED.value,
        Phase.BASELINE_AFTER.value,
    ]
    assert reading_panel(trial, "rss", bins=100) is None


def test_readings_of_a_trial_that_ended_before_any_phase_are_drawn_unshaded() -> None:
    trial = replace(a_trial_record(), phases=())

    panel = reading_panel(trial, "power", bins=100)

    assert panel is not None
    assert panel.shaded == ()


def test_a_trial_without_a_search_has_no_probes() -> None:
    assert probes(a_trial_record(), 0.99) == ()
