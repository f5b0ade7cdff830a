"""What a listening device heard, as the page shows it: detections beside words."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.domain.record import TrialRecord
from harness.stats.wakewords import Heard, heard_in


class Fate(StrEnum):
    """What became of a word, or of a detection."""

    RIGHT = "right"
    MISSED = "missed"
    FALSE = "false"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardLine:
    """A detection, or a word without one; times in s from the recording's begin."""

    fate: Fate
    word_s: float | None = None
    at_s: float | None = None

    @property
    def when_s(self) -> float:
        """When it was, for the order of the lines."""
        return self.at_s if self.at_s is not None else self.word_s or 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardView:
    """One run of one recording."""

    trial: str
    file: str
    lines: tuple[HeardLine, ...]


def heard_views(trials: Sequence[TrialRecord]) -> tuple[HeardView, ...]:
    """Prepare the runs of a workload in which something was played."""
    return tuple(
        HeardView(
            trial=trial.trial.id, file=trial.trial.stream.file, lines=_lines(heard)
        )
        for trial in trials
        if trial.trial.stream is not None and (heard := heard_in(trial)) is not None
    )


def _lines(heard: Heard) -> tuple[HeardLine, ...]:
    told = [
        HeardLine(
            fate=Fate.FALSE if one.word_s is None else Fate.RIGHT,
            word_s=one.word_s,
            at_s=one.at_s,
        )
        for one in heard.detections
    ]
    missed = [HeardLine(fate=Fate.MISSED, word_s=word) for word in heard.missed_s]
    return tuple(sorted([*told, *missed], key=lambda line: line.when_s))
