"""Outputs of one and the same sample, query after query: they must not change."""

import hashlib
from dataclasses import dataclass
from math import isfinite

from harness.domain.query import OutputsChecked


@dataclass(slots=True)
class Repeats:
    """What was seen of the outputs so far."""

    first: tuple[float, ...] | None = None
    compared: int = 0
    differing: int = 0
    non_finite: int = 0

    def take(self, results: tuple[float, ...]) -> None:
        """Hold outputs against the first ones; printed numbers are equal or not."""
        if self.first is None:
            self.first = results
        self.compared += 1
        self.differing += results != self.first
        self.non_finite += not all(map(isfinite, results))

    def report(self, trial: str) -> OutputsChecked:
        """Give the count; the digest is of the numbers as they were printed."""
        printed = ",".join(f"{value:.3f}" for value in self.first or ())
        return OutputsChecked(
            trial=trial,
            compared=self.compared,
            differing=self.differing,
            non_finite=self.non_finite,
            sha256=hashlib.sha256(printed.encode()).hexdigest(),
        )
