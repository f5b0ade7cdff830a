"""Users who talk to a scripted decoder in virtual time: every instant is known."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from harness.clock import VirtualClock
from harness.domain.plan import Minimum, Trial
from harness.domain.query import ModelLoaded, Phase, QueryBlock, TrialEvent
from harness.domain.scenario import (
    LlmDecode,
    LlmSustained,
    Talking,
    from_plain,
    to_plain,
)
from harness.loadgen import wire
from harness.loadgen.converse import Prompt
from harness.loadgen.pump import Query, run_trial
from harness.testing.builders import a_trial

MS = 1_000_000
END = 2


class Bench:
    """A language model: a prompt takes 10 ms, a token 1 ms for each user."""

    def __init__(
        self, ends_after: Sequence[int] = (), *, takes_together: bool = False
    ) -> None:
        self.takes_together = takes_together
        self.batches = 0
        self.clock = VirtualClock()
        self.events: list[TrialEvent] = []
        self.opened: list[tuple[int, int, bool]] = []
        self.answers: list[tuple[int, tuple[int, ...]]] = []
        self._ends_after = ends_after
        self._prompts = 0
        self._left: list[int] = []

    def load(self) -> ModelLoaded:
        return ModelLoaded(trial="t", sha256="0" * 64, load_ns=0)

    def queries(self, phase: Phase, samples_per_query: int) -> Iterator[Query]:
        raise AssertionError((phase, samples_per_query))

    def work_until(self, instant_ns: int) -> None:
        self.clock.wait_until(instant_ns)

    def decoder(self) -> "Bench":
        return self

    def prefill_all(self, prompts: Sequence[Prompt]) -> list[int]:
        self.batches += 1
        return [self.prefill(user, prompt) for user, prompt in enumerate(prompts)]

    def open(self, users: int, tokens: int, *, may_end: bool = False) -> None:
        self.opened.append((users, tokens, may_end))
        self._left = [10**9] * users

    def prompt(self, number: int, tokens: int) -> Sequence[int]:
        return [number] * tokens

    def prefill(self, user: int, prompt: Prompt) -> int:
        self.clock.advance(10 * MS * len(prompt) // 100)
        if self._ends_after:
            self._left[user] = self._ends_after[self._prompts % len(self._ends_after)]
        self._prompts += 1
        return self._token(user)

    def step(self) -> list[int]:
        self.clock.advance(MS * len(self._left))
        return [self._token(user) for user in range(len(self._left))]

    def is_end(self, token: int) -> bool:
        return token == END

    def answered(self, number: int, tokens: Sequence[int]) -> None:
        self.answers.append((number, tuple(tokens)))

    def _token(self, user: int) -> int:
        self._left[user] -= 1
        return END if self._left[user] == 0 else 7

    def run(self, scenario: Talking, minimum: int = 6) -> list[QueryBlock]:
        trial = the_trial(scenario, minimum)
        run_trial(trial, self, self.clock, self.events.append)
        return [
            event
            for event in self.events
            if isinstance(event, QueryBlock) and event.phase is Phase.MEASURED
        ]


def the_trial(scenario: Talking, minimum: int = 6) -> Trial:
    return replace(
        a_trial(scenario=scenario),
        warm_up=Minimum(queries=1, duration_ns=0),
        minimum=Minimum(queries=minimum, duration_ns=0),
        baseline_ns=0,
    )


def column(blocks: Sequence[QueryBlock], name: str, segment: int = 0) -> list[int]:
    return [
        value
        for block in blocks
        if block.segment == segment
        for value in getattr(block, name)
    ]


def test_one_user_waits_for_the_prompt_and_then_for_each_token() -> None:
    blocks = Bench().run(LlmDecode(prompt_tokens=(100,), output_tokens=5))

    issued, inner_ns = column(blocks, "issued_ns"), column(blocks, "inner_ns")
    assert column(blocks, "inner_counts") == [5] * 6
    assert [inner_ns[5 * i] - issued[i] for i in range(6)] == [10 * MS] * 6
    assert [inner_ns[i + 1] - inner_ns[i] for i in range(4)] == [MS] * 4
    assert column(blocks, "completed_ns") == inner_ns[4::5]


def test_every_level_is_warmed_up_before_the_first_is_measured() -> None:
    bench = Bench()
    bench.run(LlmDecode(prompt_tokens=(100, 50), output_tokens=4, users=(1, 3)))

    loads = [(1, 104, False), (1, 54, False), (3, 104, False)]
    assert bench.opened == loads * 2


def test_with_several_users_the_wait_behind_other_prompts_is_in_the_first_token() -> (
    None
):
    bench = Bench()
    blocks = bench.run(
        LlmDecode(prompt_tokens=(100,), output_tokens=5, users=(1, 3)), minimum=9
    )

    scheduled = column(blocks, "scheduled_ns", 1)
    inner_ns = column(blocks, "inner_ns", 1)
    waits = [inner_ns[5 * i] - scheduled[i] for i in range(9)]
    assert sorted(waits) == [10 * MS] * 3 + [20 * MS] * 3 + [30 * MS] * 3
    last = [inner_ns[5 * i + 4] - inner_ns[5 * i + 3] for i in range(9)]
    assert last == [3 * MS] * 9


def test_users_who_ask_at_one_instant_are_taken_by_lot_and_the_lot_is_seeded() -> None:
    scenario = LlmDecode(prompt_tokens=(100,), output_tokens=3, users=(1, 4))

    one, other = (Bench().run(scenario, minimum=40) for _ in range(2))

    waits = [
        at - asked
        for at, asked in zip(
            column(one, "inner_ns", 1)[::3], column(one, "scheduled_ns", 1), strict=True
        )
    ]
    assert waits == [
        at - asked
        for at, asked in zip(
            column(other, "inner_ns", 1)[::3],
            column(other, "scheduled_ns", 1),
            strict=True,
        )
    ]
    assert sorted(waits[:4]) == [10 * MS, 20 * MS, 30 * MS, 40 * MS]


def test_an_answer_ends_at_an_end_token_only_where_it_may() -> None:
    scenario = LlmDecode(prompt_tokens=(100,), output_tokens=8, stops_at_end=True)
    ending, going_on = Bench([3, 1]), Bench([3, 1])

    counts = column(ending.run(scenario), "inner_counts")
    full = column(going_on.run(replace(scenario, stops_at_end=False)), "inner_counts")

    assert set(counts) == {1, 3}
    assert set(full) == {8}
    assert ending.opened[0] == (1, 108, True)
    assert ending.answers[0] == (0, (7, 7, END))


def test_rows_are_in_order_of_issue_also_where_later_answers_end_sooner() -> None:
    scenario = LlmDecode(
        prompt_tokens=(100,), output_tokens=900, users=(1, 3), stops_at_end=True
    )
    blocks = Bench([800, 5, 300]).run(scenario, minimum=12)

    issued = column(blocks, "issued_ns", 1)
    assert len(issued) >= 12
    assert issued == sorted(issued)


def test_a_window_lasts_as_long_as_it_has_to() -> None:
    bench = Bench()
    trial = replace(
        the_trial(LlmDecode(prompt_tokens=(100,), output_tokens=5), minimum=1),
        minimum=Minimum(queries=1, duration_ns=2_000 * MS),
    )

    run_trial(trial, bench, bench.clock, bench.events.append)

    blocks = [e for e in bench.events if isinstance(e, QueryBlock)]
    measured = [b for b in blocks if b.phase is Phase.MEASURED]
    span = measured[-1].completed_ns[-1] - measured[0].issued_ns[0]
    assert 2_000 * MS <= span < 2_100 * MS
    assert len(measured) > 2  # handed on while it lasts


def test_the_scenario_and_the_instants_of_tokens_survive_the_wire() -> None:
    scenario = LlmDecode(
        prompt_tokens=(64, 8), users=(1, 2), ttft_bounds_ns=(5,), tpot_bounds_ns=(6,)
    )
    block = QueryBlock(
        trial="t",
        phase=Phase.MEASURED,
        samples_per_query=1,
        scheduled_ns=array("q", [1, 2]),
        issued_ns=array("q", [1, 2]),
        completed_ns=array("q", [5, 9]),
        inner_counts=array("q", [1, 2]),
        inner_ns=array("q", [5, 7, 9]),
    )

    assert from_plain(to_plain(scenario)) == scenario
    assert wire.decode_event(wire.encode_event(block)) == block


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"prompt_tokens": ()}, "one length"),
        ({"prompt_tokens": (5, 5)}, "different"),
        ({"users": (2,)}, "from 1"),
        ({"output_tokens": 0}, "above zero"),
        ({"ttft_bounds_ns": (1,)}, "beside it"),
        ({"expected_tokens": -1.0}, "never negative"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused(
    wrong: dict[str, tuple[int, ...]], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        LlmDecode(**wrong)


def test_a_block_whose_tokens_do_not_add_up_is_refused() -> None:
    with pytest.raises(ValueError, match="add up"):
        QueryBlock(
            trial="t",
            phase=Phase.MEASURED,
            samples_per_query=1,
            scheduled_ns=array("q", [1]),
            issued_ns=array("q", [1]),
            completed_ns=array("q", [5]),
            inner_counts=array("q", [2]),
            inner_ns=array("q", [5]),
        )


def test_a_fixed_batch_has_all_prompts_at_once_and_all_first_tokens_at_once() -> None:
    bench = Bench(takes_together=True)

    blocks = bench.run(
        LlmDecode(prompt_tokens=(100,), output_tokens=5, users=(1, 3)), minimum=9
    )

    inner_ns = column(blocks, "inner_ns", 1)
    scheduled = column(blocks, "scheduled_ns", 1)
    first = [inner_ns[5 * i] for i in range(9)]
    assert [len(set(first[3 * i : 3 * i + 3])) for i in range(3)] == [1, 1, 1]
    assert {at - asked for at, asked in zip(first, scheduled, strict=True)} == {30 * MS}
    assert bench.batches > 0
    assert sorted({number for number, _ in bench.answers}) == list(
        range(max(number for number, _ in bench.answers) + 1)
    )


def test_a_sustained_conversation_goes_on_for_its_time_whatever_the_minimum() -> None:
    bench = Bench()
    scenario = LlmSustained(duration_ns=2_000 * MS, prompt_tokens=100, output_tokens=5)

    blocks = bench.run(scenario, minimum=2)

    completed = column(blocks, "completed_ns")
    # 14 ms an answer: the window is over with the first that ends past two seconds
    assert len(completed) == 143
    assert completed[-1] - column(blocks, "scheduled_ns")[0] == 143 * 14 * MS
    assert from_plain(to_plain(scenario)) == scenario
