"""Instructions of an emulated processor for the terminal, beside no time."""

from rich.table import Table

from harness.domain.assessment import Assessment
from harness.domain.record import RunRecord
from harness.report.countedview import counted_rows
from harness.report.quantities import count, estimate_text, number, quantity


def counted_table(record: RunRecord, assessment: Assessment) -> Table | None:
    """Show counts, and whether kernels agree; None where nothing was counted."""
    table = Table(
        title="Instructions per inference: a count, no time", title_justify="left"
    )
    for column in ("workload", "model", "processor"):
        table.add_column(column, overflow="fold")
    for column in ("instructions", "over float32", "identical outputs"):
        table.add_column(column, justify="right")
    for row in counted_rows(record, assessment):
        compared = row.compared
        table.add_row(
            row.workload,
            row.model,
            row.processor,
            estimate_text(row.estimate, "instructions").removesuffix("instructions"),
            number(row.relative) if row.relative is not None else "–",
            f"{count(compared.identical)} of {compared.items}" if compared else "–",
        )
    memories = [trial.memory for trial in record.trials if trial.memory is not None]
    peak = max((memory.peak_bytes or 0 for memory in memories), default=0)
    if peak:
        table.caption = f"peak memory of the program: {quantity(peak, 'B')}"
        table.caption_justify = "left"
    return table if table.row_count else None
