"""Prompts as text: made before anything is timed, and as long as was asked for."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from test_talk import FACTS, carry_out, ended, notes

from harness.agent.spoken import POOL, Speech
from harness.clock import SystemClock
from harness.domain.plan import Minimum, RuntimeSettings
from harness.domain.query import Outcome, OutputsChecked, Phase, QueryBlock
from harness.domain.scenario import LlmDecode
from harness.errors import TargetError
from harness.links.filedigest import digest_of
from harness.loadgen.wire import Order, Task
from harness.testing.builders import a_trial
from harness.testing.decoders import decoder_bytes, write_folder, write_tokeniser


class Letters:
    """Letters two by two where the first is an a, so that joining changes lengths."""

    def __init__(self) -> None:
        self.encoded: list[str] = []
        self.said: list[int] = []

    def encode(self, text: str) -> list[int]:
        self.encoded.append(text)
        found, rest = [], text
        while rest:
            size = 2 if rest[0] == "a" and len(rest) > 1 else 1
            found.append(ord(rest[0]) - ord("a"))
            rest = rest[size:]
        return found

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(chr(ord("a") + token) for token in tokens)

    def stream(self) -> Callable[[int], str]:
        def said(token: int) -> str:
            self.said.append(token)
            return chr(ord("a") + token)

        return said


class Mute(Letters):
    """Has no text for any token."""

    def decode(self, tokens: Sequence[int]) -> str:
        del tokens
        return ""


def test_every_text_gives_as_many_tokens_as_were_asked_for() -> None:
    speech = Speech(Letters(), seed=3, vocabulary=26)

    for number in range(POOL):
        text = speech.text(number, 20)
        assert len(speech.encode(0, text)) == 20


def test_texts_differ_and_come_again_after_the_pool() -> None:
    speech = Speech(Letters(), seed=3, vocabulary=26)

    texts = [speech.text(number, 20) for number in range(POOL)]

    assert len(set(texts)) == POOL
    assert speech.text(POOL + 5, 20) == texts[5]
    assert Speech(Letters(), seed=4, vocabulary=26).text(0, 20) != texts[0]


def test_what_is_prepared_is_not_made_again() -> None:
    letters = Letters()
    speech = Speech(letters, seed=3, vocabulary=26)
    speech.prepare(20)
    before = len(letters.encoded)

    speech.text(9, 20)

    assert len(letters.encoded) == before


def test_every_token_of_an_answer_becomes_text() -> None:
    letters = Letters()
    speech = Speech(letters, seed=3, vocabulary=26)
    for user in (0, 1):
        speech.encode(user, speech.text(user, 5))

    speech.say((7, 8), range(2))

    assert letters.said == [7, 8]


def test_a_tokeniser_that_makes_no_text_is_told_in_a_sentence() -> None:
    with pytest.raises(TargetError, match="no text of 5 tokens"):
        Speech(Mute(), seed=3, vocabulary=26).text(0, 5)


def a_spoken_order(folder: Path, scenario: LlmDecode) -> Order:
    made = write_tokeniser(write_folder(folder / "gm", decoder_bytes()))
    config = made / "genai_config.json"
    external = tuple(sorted(p.name for p in made.iterdir() if p != config))
    trial = replace(
        a_trial("llm", scenario),
        minimum=Minimum(queries=4, duration_ns=0),
        warm_up=Minimum(queries=1, duration_ns=0),
        baseline_ns=1000,
        settings=RuntimeSettings(runtime="onnxruntime-genai"),
    )
    return Order(
        task=Task.MEASURE,
        trial=trial,
        runtime="harness.runtimes.genai:open_runtime",
        model_path=str(config),
        sha256=digest_of((config, *(made / name for name in external))),
        inputs=(),
        external=external,
        decoder=FACTS,
        spawned_ns=SystemClock().now_ns(),
    )


def test_a_trial_with_tokenisation_in_says_so_and_answers_as_it_should(
    tmp_path: Path,
) -> None:
    pytest.importorskip("onnxruntime_genai", reason="the extra is not installed")
    talk = LlmDecode(
        prompt_tokens=(16, 8), output_tokens=6, users=(1, 2), tokenises=True
    )

    events = carry_out(a_spoken_order(tmp_path, talk))

    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    said = notes(events)
    assert said["decode.tokenisation"] == "in"
    assert said["decode.users"] == "fixed batch"
    (checked,) = (e for e in events if isinstance(e, OutputsChecked))
    assert checked.compared > 0
    assert checked.differing == 0
    measured = [
        e for e in events if isinstance(e, QueryBlock) and e.phase is Phase.MEASURED
    ]
    assert {count for block in measured for count in block.inner_counts} == {6}
    together = [block for block in measured if block.segment == 2]
    firsts = [block.inner_ns[::6] for block in together]
    assert all(one[0] == one[1] for one in firsts)


def test_a_plain_decoder_refuses_to_have_its_tokenisation_timed(
    tmp_path: Path,
) -> None:
    data = decoder_bytes()
    (tmp_path / "model.onnx").write_bytes(data)
    talk = LlmDecode(prompt_tokens=(8,), output_tokens=4, tokenises=True)
    order = replace(
        a_spoken_order(tmp_path, talk),
        runtime="harness.runtimes.onnxrt:open_runtime",
        model_path=str(tmp_path / "model.onnx"),
        sha256=hashlib.sha256(data).hexdigest(),
        external=(),
    )

    last = ended(carry_out(order))

    assert last.outcome is Outcome.REFUSED
    assert "no tokeniser" in last.reason
