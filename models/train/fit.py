"""Training itself: one thread, seeded, a fixed number of epochs, nothing chosen after.

The held-out items are not looked at here. There is no early stopping: the weights
after the last epoch are the model.
"""

from collections.abc import Callable

import onnx
import torch
from torch import Tensor
from torch.nn import functional

from train.task import Items, Metric, Recipe, Task, decoded, encoded
from train.twin import Twin

_LARGEST_NORM = 5.0


def trained(
    task: Task,
    drawn: onnx.ModelProto,
    items: Items,
    on_epoch: Callable[[int, float], None],
) -> onnx.ModelProto:
    """Give a copy of the drawn model with weights learnt from the items.

    `on_epoch` is told the number of epochs done and the mean loss of the last one.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(task.recipe.seed)
    x = torch.from_numpy(decoded(encoded(items.values, task.step), task.step))
    y = torch.from_numpy(items.labels)
    twin = Twin(drawn)
    loss_of = _reconstruction if task.metric is Metric.AUC_RECONSTRUCTION else _class
    _learn(twin, (x, y), task.recipe, loss_of, on_epoch)
    twin.eval()
    return twin.write_into(drawn)


def _learn(
    twin: Twin,
    items: tuple[Tensor, Tensor],
    recipe: Recipe,
    loss_of: Callable[[Tensor, Tensor, Tensor], Tensor],
    on_epoch: Callable[[int, float], None],
) -> None:
    x, y = items
    draw = torch.Generator().manual_seed(recipe.seed)
    batches = len(x) // recipe.batch
    optimiser = torch.optim.AdamW(twin.parameters(), weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=recipe.rate, total_steps=recipe.epochs * batches
    )
    for epoch in range(recipe.epochs):
        total = 0.0
        order = torch.randperm(len(x), generator=draw)[: batches * recipe.batch]
        for chosen in order.view(batches, recipe.batch):
            loss = loss_of(twin(x[chosen]), x[chosen], y[chosen])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(twin.parameters(), _LARGEST_NORM)
            optimiser.step()
            schedule.step()
            total += loss.item()
        on_epoch(epoch + 1, total / batches)


def _class(logits: Tensor, _: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits, labels, label_smoothing=0.05)


def _reconstruction(output: Tensor, x: Tensor, _: Tensor) -> Tensor:
    return functional.mse_loss(output, x)
