"""What a meter saw, on the page: zooms, energies of queries, budgets, clocks."""

from dataclasses import replace

import pytest

from harness.domain.plan import Boundary, Supply
from harness.domain.record import RunRecord
from harness.domain.requirement import TierSet
from harness.report.powerview import (
    budgets,
    energies_image,
    meter_view,
    zoom_image,
)
from harness.stats.estimating import estimate
from harness.stats.laying import lay_over
from harness.testing.builders import a_record
from harness.testing.metered import a_metered_record, a_metered_trial
from harness.testing.pages import Case


@pytest.fixture(scope="module")
def metered() -> RunRecord:
    """Give a record that a simulated meter read, on its trials' clocks."""
    facts = {"meter.address": "ppk2@sim:", "meter.origin": "simulated"}
    runs = [a_metered_trial(run=run, seed=run) for run in (1, 2, 3)]
    noted = [replace(one, notes={**one.notes, **facts}) for one in runs]
    return lay_over(a_metered_record(*noted))


def test_a_budget_says_of_each_source_its_share_and_what_makes_it_smaller(
    metered: RunRecord,
) -> None:
    estimates, _ = estimate(metered)

    found = budgets(estimates)

    assert {one.estimate.measurand.name for one in found} >= {
        "energy_per_inference_net",
        "average_power",
    }
    net = next(b for b in found if b.estimate.measurand.name.endswith("_net"))
    gain = next(line for line in net.lines if line.row.source == "gain")
    assert gain.remedy == "calibration"
    # rows of the device model, which the builder has none of, would be in it too
    assert sum(line.share for line in net.lines) == pytest.approx(1.0)


def test_the_meter_and_its_clock_are_told_trial_by_trial(metered: RunRecord) -> None:
    found = meter_view(metered)

    assert found is not None
    assert found.facts["address"] == "ppk2@sim:"
    assert [one.means for one in found.alignments] == ["pulses"] * 3
    assert all(one.u_s > 0 for one in found.alignments)
    assert meter_view(a_record(["kws"])) is None


def test_marks_queries_and_their_energies_are_drawn(metered: RunRecord) -> None:
    trials = [t for t in metered.trials if t.trial.arm.value == "device"]

    assert zoom_image(trials) is not None
    assert energies_image(trials) is not None
    assert zoom_image(a_record(["kws"]).trials) is None


def test_a_meter_that_does_not_resolve_a_query_gives_no_energies_of_queries(
    metered: RunRecord,
) -> None:
    coarse = [
        replace(t, notes={**t.notes, "alignment.u_s": "0.01"}) for t in metered.trials
    ]

    assert energies_image(coarse) is None


def test_the_page_prints_budget_floor_boundary_and_clock(
    metered: RunRecord, tier_set: TierSet
) -> None:
    supply = Supply(boundary=Boundary.SOC_RAIL, is_single=True)
    stated = replace(metered, plan=replace(metered.plan, supply=supply))

    text = " ".join(Case.of(stated, tier_set).page().texts.values())

    for words in (
        "Uncertainty budgets of power and energy",
        "仪表下限",
        "gain of the meter",
        "a rail of the chip or module",
        "the metered supply alone",
        "marks of load",
    ):
        assert words in text


def test_what_was_not_stated_of_the_supply_is_said_to_be_so(
    metered: RunRecord, tier_set: TierSet
) -> None:
    text = Case.of(metered, tier_set).page().texts["environment"]

    assert "what was metered" in text
    assert "not given" in text
