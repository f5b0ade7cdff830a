"""A child process as a link: whole lines, deadlines, and an end in any case."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from harness.clock import Deadline, SystemClock
from harness.errors import LinkClosed, LinkTimeout
from harness.links.pipe import ChildLink, spawn

CLOCK = SystemClock()


@contextmanager
def a_child(code: str, **env: str) -> Iterator[ChildLink]:
    with spawn((sys.executable, "-c", code), env, name="child") as link:
        yield link


def soon() -> Deadline:
    return Deadline.after(20.0, CLOCK)


def test_lines_come_in_order_and_then_the_link_is_closed() -> None:
    with a_child("print('one'); print('two')") as link:
        lines = [link.read_line(soon()), link.read_line(soon())]

        with pytest.raises(LinkClosed, match="closed its output"):
            link.read_line(soon())

    assert lines == [b"one\n", b"two\n"]


def test_a_closed_link_stays_closed() -> None:
    with a_child("") as link:
        for _ in range(2):
            with pytest.raises(LinkClosed):
                link.read_line(soon())


def test_a_last_line_without_its_end_is_no_line() -> None:
    code = "import sys; sys.stdout.write('whole\\ncut'); sys.stdout.flush()"

    with a_child(code) as link:
        assert link.read_line(soon()) == b"whole\n"
        with pytest.raises(LinkClosed):
            link.read_line(soon())


def test_silence_ends_at_the_deadline_and_the_link_stays_usable() -> None:
    with a_child("print(input())") as link:
        with pytest.raises(LinkTimeout, match="said nothing in time"):
            link.read_line(Deadline.after(0.0, CLOCK))

        link.write(b"hello\n")

        assert link.read_line(soon()) == b"hello\n"


def test_a_child_has_only_the_environment_it_was_given() -> None:
    code = "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))"

    with a_child(code, ONLY="this") as link:
        line = link.read_line(soon())

    assert line == b"['ONLY']\n"


def test_the_end_of_standard_error_is_kept_for_the_reason_of_a_crash() -> None:
    code = """
import sys
for n in range(1000):
    print('line', n, file=sys.stderr)
sys.exit(7)
"""

    with a_child(code) as link:
        with pytest.raises(LinkClosed):
            link.read_line(soon())
        status = link.exit_status(soon())

    assert status == 7
    assert link.last_words().endswith("line 998 line 999")
    assert len(link.last_words()) <= 600


def test_a_killed_child_has_the_number_of_the_signal_as_its_status() -> None:
    with a_child("input()") as link:
        link.kill()

        assert link.exit_status(soon()) == -9


def test_writing_to_a_child_that_is_gone_says_so() -> None:
    with a_child("") as link:
        link.exit_status(soon())

        with pytest.raises(LinkClosed):
            link.write(b"x" * 1_000_000)


def test_leaving_the_context_ends_a_child_that_reads_its_input() -> None:
    with a_child("import sys; sys.stdin.read()") as link:
        pid = link.pid

    assert not psutil.pid_exists(pid)


def test_leaving_the_context_ends_a_child_that_listens_to_nothing() -> None:
    code = "import signal; print('up', flush=True); signal.pause()"

    with a_child(code) as link:
        link.read_line(soon())

    assert not psutil.pid_exists(link.pid)


def test_a_child_does_not_get_the_terminals_ctrl_c() -> None:
    with a_child("import os; print(os.getsid(0) == os.getpid())") as link:
        line = link.read_line(soon())

    assert line == b"True\n"


def test_a_command_that_does_not_exist_is_named() -> None:
    with (
        pytest.raises(LinkClosed, match="/no/such/program cannot be started"),
        spawn(("/no/such/program",), {}, name="child"),
    ):
        pass
