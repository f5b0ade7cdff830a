"""Model cards: words from the task, figures from the facts, never typed."""

from collections.abc import Iterator, Sequence
from typing import Any

from train.task import Metric, Story, Task

_VARIANTS = {
    "fp32": "float32 (the parent)",
    "u8s8": "INT8, unsigned activations (x86)",
    "s8s8": "INT8, signed activations (Arm)",
}
_METRICS = {
    Metric.TOP1: "accuracy (top 1)",
    Metric.AUC_RECONSTRUCTION: "area under the ROC curve",
}
_LICENCE = (
    "Apache-2.0, as the rest of this repository: network, weights and simulated data."
)


def card_text(task: Task, facts: dict[str, Any]) -> str:
    """Give the card of one model as Markdown."""
    return "\n".join(_lines(task, facts)) + "\n"


def _lines(task: Task, facts: dict[str, Any]) -> Iterator[str]:
    story, trained = task.story, facts["training"]
    yield f"# `{task.name}`: {story.title}"
    yield ""
    yield "<!-- Written by `make train`; figures come from the JSON file beside it. -->"
    yield ""
    yield f"{story.note_en} {story.good_for}"
    yield ""
    yield f"{story.note_zh}"
    yield ""
    yield "## Figures"
    yield ""
    yield from _figures(task, facts)
    yield ""
    yield "## Confusion"
    yield ""
    yield from _confusions(task, facts)
    yield "## Data"
    yield ""
    yield f"{story.data}"
    yield ""
    yield (
        f"Trained on {trained['items']} items of {_plural(trained['sources'], story)}; "
        f"held out are {facts['items']} items of {_plural(facts['sources'], story)}. "
        f"{story.apart}"
    )
    yield ""
    yield "From the sensor to the input:"
    yield ""
    yield from (f"{n}. {step}" for n, step in enumerate(story.preparation, start=1))
    yield ""
    yield "## Not good for"
    yield ""
    yield from (f"- {one}" for one in story.not_good_for)
    yield ""
    yield "## How it was made"
    yield ""
    yield from _making(task, facts)


def _plural(count: int, story: Story) -> str:
    return f"{count} {story.source if count == 1 else story.sources}"


def _figures(task: Task, facts: dict[str, Any]) -> Iterator[str]:
    name = _METRICS[task.metric]
    plural = task.story.sources
    yield f"| variant | {name} | 95 % by items | 95 % by {plural} | as float32 |"
    yield "|---|---|---|---|---|"
    for variant, one in facts["figures"].items():
        alike = facts["agreement"].get(variant)
        cells = (
            _VARIANTS[variant],
            _percent(one["value"]),
            _range(one["by_items"]),
            _range(one["by_sources"]),
            "–" if alike is None else _percent(alike),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield (
        f"Executed by onnxruntime {facts['made_with']['onnxruntime']} on "
        f"{facts['made_with']['machine']}, one thread, over the "
        f"{facts['items']} held-out items that are shipped beside the model. "
        "By items: each item counts as independent. "
        f"By {plural}: whole {plural} are drawn anew, 1000 times. "
        "Both say how far chance goes within simulated data, and nothing about the "
        "step from there to the world."
    )


def _confusions(task: Task, facts: dict[str, Any]) -> Iterator[str]:
    if task.metric is Metric.AUC_RECONSTRUCTION:
        yield (
            f"An item counts as {task.classes[1]} where its mean squared error exceeds "
            f"{facts['threshold']:.4g}, which 5 % of the training items of the float32 "
            "model do."
        )
        yield ""
    for variant in ("fp32", "u8s8"):
        yield f"{_VARIANTS[variant]}; rows are true, columns answered:"
        yield ""
        yield from _table(task.classes, facts["confusion"][variant])
        yield ""


def _table(classes: Sequence[str], cells: list[list[int]]) -> Iterator[str]:
    yield f"| | {' | '.join(classes)} |"
    yield f"|---{'|---' * len(classes)}|"
    for name, row in zip(classes, cells, strict=True):
        yield f"| **{name}** | {' | '.join(map(str, row))} |"


def _making(task: Task, facts: dict[str, Any]) -> Iterator[str]:
    recipe, made = task.recipe, facts["made_with"]
    yield (
        f"{task.spec.source}. {facts['macs']} multiply-accumulates, "
        f"{facts['parameters']} parameters: the graph of the seeded model, with "
        "learnt weights."
        if task.story.is_twin
        else f"{task.spec.source}. {facts['macs']} multiply-accumulates, "
        f"{facts['parameters']} parameters."
    )
    yield ""
    yield (
        f"{recipe.epochs} epochs of {recipe.batch} items a step, AdamW, one cycle of "
        f"the learning rate up to {recipe.rate:g}, seed {recipe.seed}, one thread; "
        "the weights after the last epoch. The difficulty of the data and the number "
        "of epochs were settled on other draws than the held-out items. "
        f"INT8: {facts['quantisation']}; ranges from {facts['calibration_items']} "
        "training items, rounded to three digits."
    )
    yield ""
    versions = ", ".join(f"{name} {made[name]}" for name in sorted(made))
    yield f"Made with {versions}. Again: `make train ARGS={task.name}`."
    yield ""
    yield f"Licence: {task.story.licence or _LICENCE}"


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"


def _range(interval: dict[str, float]) -> str:
    return f"{100.0 * interval['low']:.1f} to {100.0 * interval['high']:.1f} %"
