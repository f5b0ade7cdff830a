"""Whether the shipped files are those of the index, and answer as their cards say."""

import tomllib
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from train.card import card_text
from train.facts import TOLERANCE, measured, read_facts
from train.task import Task


def complaints(tasks: Sequence[Task], folder: Path) -> Iterator[str]:
    """Yield one sentence for each thing that is not as it should be."""
    index = tomllib.loads((folder / "index.toml").read_text(encoding="utf-8"))
    told = {model["name"]: model for model in index["model"]}
    for task in tasks:
        if task.name not in told:
            yield f"{task.name}: not in the index; run `make train ARGS={task.name}`"
            continue
        changed = list(_changed(task.name, told[task.name], folder))
        yield from changed or _unlike(task, folder)


def _changed(name: str, told: dict[str, Any], folder: Path) -> Iterator[str]:
    for table in (one for one in told.values() if isinstance(one, dict)):
        said = table.get("file") or table["data"]
        path = folder / Path(said).name
        if not path.is_file():
            yield f"{name}: {path.name} is missing"
        elif sha256(path.read_bytes()).hexdigest() != table["sha256"]:
            yield f"{name}: {path.name} is not the file that the index names"


def _unlike(task: Task, folder: Path) -> Iterator[str]:
    facts = read_facts(folder, task.name)
    found = measured(folder, task, facts["threshold"])
    for variant, one in found["figures"].items():
        kept = facts["figures"][variant]["value"]
        if abs(one["value"] - kept) > TOLERANCE:
            yield (
                f"{task.name}: {variant} reaches {one['value']:.4f} here, and "
                f"{kept:.4f} by its card"
            )
    card = folder / f"{task.name}.md"
    if card.read_text(encoding="utf-8") != card_text(task, facts):
        yield f"{task.name}: {card.name} does not say what was measured"
