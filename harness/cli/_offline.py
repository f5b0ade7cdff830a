"""What ``--check-offline`` adds to a run: trials on failing networks, or why not."""

from harness.bench.intake import Intake
from harness.bench.trying import Trying, untried, why_not_here
from harness.domain.record import RunRecord
from harness.record.bundle import RecordWriter


class OfflineCheck:
    """The check of one sitting of a run; of nothing where it was not asked for."""

    def __init__(self, intake: Intake, before: RunRecord | None) -> None:
        self.trying: Trying | None = None
        """None: nothing is tried."""
        self._intake = intake
        self._reason = ""
        self._before = (
            {one.trial.workload for one in before.trials if one.networks}
            if before
            else set()
        )
        if not intake.checks_offline:
            return
        self._reason = why_not_here()
        if not self._reason:
            self.trying = Trying(
                plan=intake.plan, paths=intake.paths, samples=intake.samples
            )

    def conclude(self, writer: RecordWriter) -> None:
        """Record which workloads were not tried, and why."""
        if not self._intake.checks_offline:
            return
        done = self._before | (self.trying.done if self.trying else set())
        for found in untried(self._intake.plan, self._reason, done):
            writer.find(found)
