"""Labelled data: what a model's answers are held against, and by which metric."""

import re
from dataclasses import dataclass
from enum import StrEnum

_SHA256 = re.compile(r"^[0-9a-f]{64}$")


class Metric(StrEnum):
    """How good a model's answers are; `harness.scoring` computes them.

    All but `MSE` and `MAE` are better when they are higher.
    """

    TOP1 = "top1"
    """Share of items whose highest score is the label's."""
    TOP5 = "top5"
    F1 = "f1"
    """Macro F1 of the highest score, over the classes that occur."""
    AUC = "auc"
    """Area under the ROC curve of the score of class 1."""
    AUC_RECONSTRUCTION = "auc-reconstruction"
    """The same of an autoencoder's mean squared error."""
    MSE = "mse"
    MAE = "mae"
    PSNR = "psnr"
    """Mean over items of 10·log10(1/mse), in dB, for values of 0 to 1."""
    MIOU = "miou"
    """Intersection over union, summed over items, mean over the classes."""
    MAP = "map"
    """Mean average precision over classes and IoU 0.50 to 0.95 (COCO)."""
    WER = "wer"
    """One less the word error rate, so that higher is better."""
    CER = "cer"
    """The same of characters, for scripts without spaces between words."""
    EXACT = "exact"
    """Share of items whose whole sequence is right."""

    @property
    def is_better_high(self) -> bool:
        """Say whether a higher value is a better one."""
        return self not in {Metric.MSE, Metric.MAE}

    @property
    def columns(self) -> int:
        """Count the reals that a row of scores has at least."""
        return _COLUMNS[self]

    @property
    def is_share(self) -> bool:
        """Say whether the value is a share of items that are simply right."""
        return self in {Metric.TOP1, Metric.TOP5, Metric.EXACT}


_COLUMNS: dict[Metric, int] = {
    Metric.TOP1: 3,
    Metric.TOP5: 3,
    Metric.F1: 2,
    Metric.AUC: 2,
    Metric.AUC_RECONSTRUCTION: 2,
    Metric.MSE: 1,
    Metric.MAE: 1,
    Metric.PSNR: 1,
    Metric.MIOU: 2,
    Metric.MAP: 13,
    Metric.WER: 2,
    Metric.CER: 2,
    Metric.EXACT: 1,
}


class Source(StrEnum):
    """Who answered the items of an `ItemsScored`, and when."""

    WINDOW = "window"
    """The device, in the timed window: outputs that were kept."""
    SESSION = "session"
    """The device, all items, in the same session right after the window."""
    REFERENCE = "reference"
    """This machine's own runtime with the device's model file, in a fresh process."""
    PARENT = "parent"
    """This machine's own runtime with the float32 parent."""


LANGUAGE, GROUP = "language", "group"
"""What items may be put together by."""
CHINESE = "zh"
"""The language that the others are held against (BCP 47)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledData:
    """A set of labelled items, as the plan names it. The path is not part of it."""

    name: str
    sha256: str
    items: int
    metric: Metric
    parent: str = ""
    """Name of the float32 parent among the plan's models; empty: none."""
    floor: float | None = None
    """Value of the metric below which the model does not do its task."""
    classes: tuple[str, ...] = ()
    is_simulated: bool = False
    """Whether a program made the items (synthetic speech, simulated sensors): their
    accuracy then compares builds and devices, and is no claim about the world."""

    grouping: str = ""
    """What items are put together by: ``language`` or ``group``; empty: nothing."""
    groups: tuple[str, ...] = ()
    """Names of the groups; of languages tags such as ``zh``, ``en``, ``ms``."""
    group_of: tuple[int, ...] = ()
    """Of each item, in order: the number of its group."""

    def __post_init__(self) -> None:
        if not _SHA256.match(self.sha256):
            raise ValueError(f"{self.sha256!r} is not a sha256 in lower-case hex")
        if self.items < 1:
            raise ValueError("labelled data need an item")
        if self.grouping not in {"", LANGUAGE, GROUP}:
            raise ValueError(f"items are not put together by {self.grouping!r}")
        if self.grouping:
            self._require_groups()

    def _require_groups(self) -> None:
        if len(self.group_of) != self.items:
            raise ValueError("every item is in one group")
        if not set(self.group_of) <= set(range(len(self.groups))):
            raise ValueError("an item is in a group that has no name")
