"""A language model in the agent: a whole trial, its checks, and what it refuses."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.agent.serve import serve
from harness.agent.talk import Listener
from harness.clock import SystemClock
from harness.domain.plan import Minimum, RuntimeSettings
from harness.domain.query import (
    MemoryMeasured,
    ModelLoaded,
    Noted,
    Outcome,
    OutputsChecked,
    OverheadMeasured,
    Phase,
    QueryBlock,
    TrialEnded,
    TrialEvent,
)
from harness.domain.scenario import ColdStart, LlmDecode, Scenario, SingleStream
from harness.domain.workload import DecoderFacts
from harness.loadgen.transcript import Done, Hello
from harness.loadgen.transcript import Listener as Hearer
from harness.loadgen.wire import Order, Task, encode_order
from harness.runtimes.base import DecodingSession, Inspection, ModelFile, Tokeniser
from harness.runtimes.onnxrt import open_runtime as open_onnxruntime
from harness.testing.builders import a_trial
from harness.testing.decoders import CONTEXT, VOCABULARY, decoder_bytes

FACTS = DecoderFacts(vocabulary=VOCABULARY, context=CONTEXT, end_tokens=(2,))
TALK = LlmDecode(prompt_tokens=(16, 8), output_tokens=6, users=(1, 2))


def an_order(
    folder: Path,
    scenario: Scenario = TALK,
    *,
    data: bytes | None = None,
    task: Task = Task.MEASURE,
) -> Order:
    path = folder / "model.onnx"
    path.write_bytes(data or decoder_bytes())
    trial = replace(
        a_trial("llm", scenario),
        minimum=Minimum(queries=3, duration_ns=0),
        warm_up=Minimum(queries=1, duration_ns=0),
        baseline_ns=1000,
    )
    return Order(
        task=task,
        trial=trial,
        runtime="harness.runtimes.onnxrt:open_runtime",
        model_path=str(path),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        inputs=(),
        decoder=FACTS,
        spawned_ns=SystemClock().now_ns(),
    )


def carry_out(order: Order) -> list[TrialEvent]:
    lines: list[bytes] = []
    serve(encode_order(order), lines.append, SystemClock())
    hearer = Hearer()
    heard = [hearer.take(line) for line in lines]
    return [item for item in heard if not isinstance(item, Hello | Done)]


def ended(events: Sequence[TrialEvent]) -> TrialEnded:
    last = events[-1]
    assert isinstance(last, TrialEnded)
    return last


def notes(events: Sequence[TrialEvent]) -> dict[str, str]:
    return {e.key: e.value for e in events if isinstance(e, Noted)}


def test_a_trial_says_every_token_of_every_level(tmp_path: Path) -> None:
    events = carry_out(an_order(tmp_path))

    blocks = [e for e in events if isinstance(e, QueryBlock)]
    measured = [b for b in blocks if b.phase is Phase.MEASURED]
    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    assert {b.segment for b in measured} == {0, 1, 2}
    assert all(set(b.inner_counts) == {6} for b in blocks)
    assert {ModelLoaded, MemoryMeasured, OutputsChecked} <= {type(e) for e in events}
    assert OverheadMeasured not in {type(e) for e in events}


def test_what_tokens_of_context_take_is_read_off_this_process(tmp_path: Path) -> None:
    found = notes(carry_out(an_order(tmp_path)))

    pairs = [pair.split(":") for pair in found["decode.context_memory"].split()]
    assert [int(tokens) for tokens, _ in pairs] == [5, 11, 22]
    assert all(int(resident) > 0 for _, resident in pairs)
    assert int(found["decode.cache_bytes_per_token"]) == 256
    assert found["decode.tokenisation"] == "out"


def test_the_last_answers_of_one_user_come_out_the_same_untimed(tmp_path: Path) -> None:
    events = carry_out(an_order(tmp_path))

    (checked,) = (e for e in events if isinstance(e, OutputsChecked))
    assert (checked.compared, checked.differing) == (2, 0)


def test_a_cold_start_ends_with_a_first_token(tmp_path: Path) -> None:
    events = carry_out(an_order(tmp_path, ColdStart(), task=Task.START))

    (block,) = (e for e in events if isinstance(e, QueryBlock))
    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    assert len(block.completed_ns) == 1


def test_a_prompt_longer_than_the_context_is_refused(tmp_path: Path) -> None:
    scenario = LlmDecode(prompt_tokens=(CONTEXT,), output_tokens=1)

    last = ended(carry_out(an_order(tmp_path, scenario)))

    assert last.outcome is Outcome.REFUSED
    assert "do not fit the context of 64" in last.reason


def test_a_model_that_is_no_language_model_is_refused(tmp_path: Path) -> None:
    last = ended(carry_out(replace(an_order(tmp_path), decoder=None)))

    assert last.outcome is Outcome.REFUSED
    assert "is no language model" in last.reason


def test_logits_that_are_no_numbers_end_the_trial_with_a_sentence(
    tmp_path: Path,
) -> None:
    data = decoder_bytes(poison=float("nan"))

    last = ended(carry_out(an_order(tmp_path, data=data)))

    assert last.outcome is Outcome.FAILED
    assert "NaN or infinity" in last.reason


def test_single_queries_of_a_language_model_are_never_tried(tmp_path: Path) -> None:
    last = ended(carry_out(an_order(tmp_path, SingleStream())))

    assert last.outcome is not Outcome.DONE


# Devices that cheat


class Forgetful:
    """A session that says what the true one says, but its tokens by the clock."""

    cache_bytes_per_token: int | None = None
    takes_together = False
    steps_together = True

    def tokeniser(self) -> Tokeniser:
        return self._true.tokeniser()

    def prefill_all(self, prompts: Sequence[Sequence[int]]) -> Sequence[int]:
        return self._true.prefill_all(prompts)

    def __init__(self, true: DecodingSession) -> None:
        self._true = true
        self._calls = 0

    def open(self, users: int, tokens: int, *, may_end: bool = False) -> None:
        self._true.open(users, tokens, may_end=may_end)

    def prefill(self, user: int, prompt: Sequence[int]) -> int:
        return self._true.prefill(user, prompt)

    def step(self) -> Sequence[int]:
        self._calls += 1
        return [(token + self._calls) % VOCABULARY for token in self._true.step()]


class CheatingRuntime:
    """A runtime that makes tokens up."""

    def __init__(self, true: object) -> None:
        self._true = true

    def identify(self) -> dict[str, str]:
        return {}

    def inspect(self, model: ModelFile, settings: RuntimeSettings) -> Inspection:
        raise AssertionError((model, settings))

    @contextmanager
    def explained(self, where: str) -> Iterator[None]:
        del where
        yield

    @contextmanager
    def load_decoder(
        self, model: ModelFile, settings: RuntimeSettings
    ) -> Iterator[Forgetful]:
        with self._true.load_decoder(model, settings) as session:  # type: ignore[attr-defined]
            yield Forgetful(session)


@contextmanager
def open_cheat() -> Iterator[CheatingRuntime]:
    with open_onnxruntime() as true:
        yield CheatingRuntime(true)


def test_a_device_that_makes_tokens_up_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "harness.runtimes.onnxrt.open_runtime", open_cheat, raising=True
    )

    events = carry_out(an_order(tmp_path))

    (checked,) = (e for e in events if isinstance(e, OutputsChecked))
    assert checked.differing == checked.compared == 2


class Silent:
    cache_bytes_per_token: int | None = None
    takes_together = False
    steps_together = True

    def tokeniser(self) -> Tokeniser:
        raise AssertionError

    def prefill_all(self, prompts: Sequence[Sequence[int]]) -> Sequence[int]:
        raise AssertionError(prompts)

    def open(self, users: int, tokens: int, *, may_end: bool = False) -> None:
        del users, tokens, may_end

    def prefill(self, user: int, prompt: Sequence[int]) -> int:
        raise AssertionError((user, prompt))

    def step(self) -> Sequence[int]:
        raise AssertionError


def test_no_prompt_comes_twice_and_none_holds_an_end_token() -> None:
    listener = Listener(Silent(), FACTS, seed=5)
    prompts = []
    for _ in range(3):
        listener.open(1, 20)
        prompts += [tuple(listener.prompt(number, 20)) for number in range(4)]

    assert len(set(prompts)) == 12
    assert all(2 not in prompt for prompt in prompts)
    assert all(0 <= token < VOCABULARY for prompt in prompts for token in prompt)
    assert tuple(listener.prompt(3, 20)) == prompts[-1]
