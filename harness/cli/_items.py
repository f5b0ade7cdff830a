"""The options of ``duanping run`` that are about labelled items."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.bench.intake import Request
from harness.catalogue.datasets import Wanted, open_dataset
from harness.domain.labelled import Metric
from harness.errors import UsageError


def wanted_items(
    dataset: Path | None, metric: Metric, parent: Path | None, *, goes_on: bool
) -> Wanted | None:
    """Put together what was asked of labelled items; None where none were named."""
    if dataset is not None:
        return Wanted(path=dataset, metric=metric, parent=parent, goes_on=goes_on)
    if parent is not None:
        raise UsageError(
            "A parent is compared on labelled items, and none are given",
            where="--parent",
            remedy="Give them: --dataset FILE.",
        )
    return None


def with_items(
    request: Request, wanted: Wanted | None, scratch: Path, console: Console
) -> Request:
    """Read the user's labelled items, and fill the model's inputs from them."""
    if wanted is None:
        return request
    if request.model is None:
        raise UsageError(
            "Labelled items go with a model of your own",
            where="--dataset",
            remedy="Give the model too: --model FILE. Reference models have their own.",
        )
    own = open_dataset(wanted, request.model, request.bindings, scratch)
    for what in own.broken:
        console.print(f"Left out: {what}", highlight=False, soft_wrap=True)
    filled = replace(request.bindings, samples=own.file)
    return replace(request, own_data=own, bindings=filled)
