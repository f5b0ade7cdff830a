"""Instants of tokens on disk: in the spool, in the trace, and under the verifier."""

from array import array
from dataclasses import replace
from pathlib import Path

import pytest

from harness.domain.plan import Plan
from harness.domain.query import Phase, QueryBlock
from harness.domain.record import Queries, RunRecord, TrialRecord
from harness.record.agreement import account_of, figure_faults
from harness.record.layout import EVIDENCE
from harness.record.reader import read_record
from harness.record.spool import SpoolWriter, read_spool
from harness.record.traces import queries_bytes, read_queries, traces_of
from harness.testing.builders import a_plan, a_record, a_trial, a_trial_record
from harness.testing.bundles import write_bundle


def a_block(inner_ns: tuple[int, ...] = (12, 14, 25)) -> QueryBlock:
    return QueryBlock(
        trial="llm.r1",
        phase=Phase.MEASURED,
        samples_per_query=1,
        scheduled_ns=array("q", [10, 20]),
        issued_ns=array("q", [11, 20]),
        completed_ns=array("q", [14, 25]),
        segment=1,
        inner_counts=array("q", [2, 1]),
        inner_ns=array("q", inner_ns),
    )


def test_a_spool_gives_the_tokens_back(tmp_path: Path) -> None:
    spool = SpoolWriter(tmp_path / "t.part")
    spool.append(a_block())
    spool.close()

    assert list(read_spool(spool.path.read_bytes(), "llm.r1")) == [a_block()]


def test_a_trace_gives_the_tokens_back() -> None:
    (trace,) = traces_of("llm.r1", "monotonic", [a_block(), a_block()])

    queries = read_queries(trace.data, where="here")

    assert list(queries.inner_counts) == [2, 1, 2, 1]
    assert list(queries.inner_ns) == [12, 14, 25] * 2
    assert queries_bytes(queries, "monotonic") == trace.data


def test_queries_without_tokens_are_written_as_before() -> None:
    record = a_trial_record()
    assert record.queries is not None

    again = read_queries(queries_bytes(record.queries, "virtual"), where="here")

    assert not again.inner_counts
    assert again == record.queries


@pytest.mark.parametrize("inner_ns", [(9, 14, 25), (12, 15, 25)])
def test_a_token_outside_its_answer_is_a_fault(
    tmp_path: Path, inner_ns: tuple[int, ...]
) -> None:
    (trace,) = traces_of("llm.r1", "virtual", [a_block(inner_ns)])
    queries = read_queries(trace.data, where="here")
    trial = a_trial_record(a_trial())
    record = a_record(("kws",), runs=1)
    plan = a_plan([trial.trial])
    changed = _with(record, plan, trial, queries)
    bundle = write_bundle(tmp_path, changed)

    faults = list(figure_faults(account_of(bundle / EVIDENCE)))

    assert any("a token lies outside its query" in str(fault) for fault in faults)
    assert read_record(bundle).trials[0].queries == queries


def _with(
    record: RunRecord, plan: Plan, trial: TrialRecord, queries: Queries
) -> RunRecord:

    return replace(
        record, plan=plan, trials=(replace(trial, queries=queries, readings=()),)
    )
