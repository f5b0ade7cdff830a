"""A transcript is whole, or it is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.domain.query import Noted
from harness.errors import LinkError
from harness.loadgen.transcript import Done, Hello, Listener, Speaker


def a_transcript(events: int = 3) -> list[bytes]:
    lines: list[bytes] = []
    speaker = Speaker(lines.append)
    speaker.hello({"pid": "12"})
    for number in range(events):
        speaker.event(Noted(trial="t", key="n", value=str(number)))
    speaker.done()
    return lines


def listen(lines: list[bytes]) -> list[object]:
    listener = Listener()
    return [listener.take(line) for line in lines]


def test_what_is_said_is_heard() -> None:
    heard = listen(a_transcript(2))

    assert heard == [
        Hello(facts={"pid": "12"}),
        Noted(trial="t", key="n", value="0"),
        Noted(trial="t", key="n", value="1"),
        Done(count=2),
    ]


@given(st.integers(0, 4))
def test_a_lost_line_is_noticed_at_the_latest_at_the_end(lost: int) -> None:
    lines = a_transcript(3)
    del lines[lost]

    if lost == 4:
        assert not any(isinstance(item, Done) for item in listen(lines))
    else:
        with pytest.raises(LinkError, match="not what comes next"):
            listen(lines)


def test_two_lines_that_change_places_are_noticed() -> None:
    lines = a_transcript(3)
    lines[1], lines[2] = lines[2], lines[1]

    with pytest.raises(LinkError):
        listen(lines)


def test_a_changed_line_is_noticed_at_the_end() -> None:
    lines = a_transcript(3)
    lines[2] = lines[2].replace(b'"1"', b'"9"')

    with pytest.raises(LinkError, match="done"):
        listen(lines)


def test_noise_on_the_link_is_shown_in_the_error() -> None:
    with pytest.raises(LinkError, match="Last login: Monday"):
        listen([b"Last login: Monday\n"])
