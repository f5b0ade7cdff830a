"""Records of an emulated device whose labelled items were answered on the host."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.domain.estimate import Estimate, Withheld
from harness.domain.labelled import LabelledData, Metric, Source
from harness.domain.query import ItemsScored
from harness.domain.record import RunRecord
from harness.scoring.rows import pack
from harness.stats.estimating import estimate
from harness.testing.builders import SHA, a_plan, a_record, a_trial, a_trial_record

Reals = NDArray[np.float64]
TRIAL = replace(a_trial(), is_scored=True)


def scored(
    source: Source, metric: Metric, values: Reals, items: Reals | None = None
) -> ItemsScored:
    """Make an event of rows; `items` says which item each is of, if not one each."""
    numbers = np.arange(len(values)) if items is None else items
    rows = np.column_stack((numbers, values))
    return ItemsScored(
        trial=TRIAL.id,
        model=TRIAL.model,
        source=source,
        metric=metric.value,
        items=len(np.unique(numbers)),
        width=values.shape[1],
        packed=pack(rows),
    )


def a_scored_record(
    metric: Metric,
    mine: Reals,
    parent: Reals | None,
    *,
    floor: float | None = None,
    items: Reals | None = None,
) -> RunRecord:
    """Make the record of an emulated device whose file was answered on the host."""
    events = [scored(Source.REFERENCE, metric, mine, items)]
    if parent is not None:
        events.append(scored(Source.PARENT, metric, parent))
    data = LabelledData(
        name="items.npz",
        sha256=SHA,
        items=events[0].items,
        metric=metric,
        parent="" if parent is None else TRIAL.model,
        floor=floor,
    )
    plan = replace(a_plan([TRIAL]), labelled={"kws": data})
    trial = replace(a_trial_record(TRIAL), scored=tuple(events))
    return replace(a_record(["kws"], runs=1), plan=plan, trials=(trial,))


def figures(record: RunRecord) -> dict[str, Estimate | Withheld]:
    estimates, withheld = estimate(record)
    return {one.measurand.name: one for one in (*withheld, *estimates)}


def figure(record: RunRecord, name: str) -> Estimate:
    found = figures(record)[name]
    assert isinstance(found, Estimate), found
    return found
