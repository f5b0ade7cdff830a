"""An emulated arm64 processor: what is missing is told, pages are the program's own."""

import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from harness.domain.labelled import Source
from harness.domain.query import ItemsScored, Outcome, TrialEnded
from harness.errors import SchemaError, TargetError, UnknownName, Unsupported
from harness.plugins import Address
from harness.scoring.rows import pack
from harness.targets.arm64.comparing import compared
from harness.targets.arm64.emulator import Emulator, find_emulator
from harness.targets.arm64.living import explained
from harness.targets.arm64.memory import program_bytes
from harness.targets.arm64.plugin import counter_for, counting
from harness.targets.arm64.target import processors_in

HELP = "-plugin  QEMU_PLUGIN  [file=]<file>[,<argname>=<argvalue>]"
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")


def fake_qemu(folder: Path, *, helps: str = HELP, loads: str = "exit 0") -> Path:
    """Write a program that answers as QEMU does, and takes plugins as `loads` says."""
    path = folder / "qemu-aarch64"
    path.write_text(
        f"""#!/bin/sh
case "$1" in
  --version) echo "qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7)";;
  -h) echo "{helps}";;
  -cpu) printf 'Available CPUs:\\n  cortex-a53\\n  cortex-a76\\n  max\\n';;
  -plugin) {loads};;
esac
"""
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def an_emulator(program: Path) -> Emulator:
    return Emulator(program=program, version="9.9", processors=("cortex-a76",))


def test_the_emulator_says_its_version_and_its_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = fake_qemu(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    found = find_emulator()

    assert found == Emulator(
        program=program,
        version="7.2.22",
        processors=("cortex-a53", "cortex-a76", "max"),
    )


def test_without_the_emulator_one_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Unsupported, match="apt-get install qemu-user"):
        find_emulator()


def test_an_emulator_that_takes_no_plugin_is_refused_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_qemu(tmp_path, helps="-cpu model")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    with pytest.raises(Unsupported, match=r"7\.2\.22 takes no plugin"):
        find_emulator()


def test_an_emulator_that_cannot_be_started_is_an_error_of_the_bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fake_qemu(tmp_path)
    path.write_text("#!/no/such/interpreter\n")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(TargetError, match="does not answer"):
        find_emulator()


def test_an_unknown_processor_is_refused_with_those_that_there_are() -> None:
    emulator = Emulator(
        program=Path("/q"), version="7.2", processors=("cortex-a53", "cortex-a76")
    )

    emulator.require_processor("cortex-a53")
    with pytest.raises(UnknownName, match="cortex-a76"):
        emulator.require_processor("cortex-a77")


@pytest.mark.parametrize("link", ["", "qemu:", "qemu:,", "gem5:cortex-a76"])
def test_an_address_without_a_processor_is_refused(link: str) -> None:
    with pytest.raises(SchemaError, match="names no processor"):
        processors_in(Address(driver="arm64", link=link))


def test_several_processors_are_counted_once_each_in_order() -> None:
    address = Address.parse("arm64@qemu:cortex-a76,cortex-a53,cortex-a76")

    assert processors_in(address) == ("cortex-a76", "cortex-a53")


@needs_gcc
def test_the_plugin_is_built_once_for_the_version_that_is_taken(
    tmp_path: Path,
) -> None:
    emulator = an_emulator(fake_qemu(tmp_path))

    first = counter_for(emulator, tmp_path / "kept")
    built_at = first.stat().st_mtime_ns
    again = counter_for(emulator, tmp_path / "kept")

    assert first.name.startswith("counter-v1-")
    assert (again, again.stat().st_mtime_ns) == (first, built_at)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [first.name]


@needs_gcc
def test_a_newer_qemu_gets_the_plugin_in_the_version_that_it_takes(
    tmp_path: Path,
) -> None:
    refuses_1 = (
        'case "$2" in *counter-v1*) echo "Could not load plugin $2: plugin requires '
        'API version 1, but this QEMU supports only a minimum version of 2" >&2;; esac'
    )
    emulator = an_emulator(fake_qemu(tmp_path, loads=refuses_1))

    assert counter_for(emulator, tmp_path / "kept").name.startswith("counter-v2-")


@needs_gcc
def test_a_qemu_that_takes_no_version_of_the_plugin_is_refused_in_its_own_words(
    tmp_path: Path,
) -> None:
    loads = 'echo "Could not load plugin $2: a minimum version of 7" >&2'
    emulator = an_emulator(fake_qemu(tmp_path, loads=loads))

    with pytest.raises(Unsupported, match="a minimum version of 7"):
        counter_for(emulator, tmp_path / "kept")


def test_without_a_compiler_one_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = an_emulator(fake_qemu(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Unsupported, match="apt-get install gcc"):
        counter_for(emulator, tmp_path / "kept")


def test_a_plugin_that_cannot_be_kept_is_an_error_that_says_where(
    tmp_path: Path,
) -> None:
    emulator = an_emulator(fake_qemu(tmp_path))
    (tmp_path / "kept").write_text("a file, no folder")

    with pytest.raises(TargetError, match=r"cannot be kept.*kept"):
        counter_for(emulator, tmp_path / "kept")


def test_commas_in_a_path_do_not_end_an_option() -> None:
    asked = counting(Path("/a,b/counter.so"), Path("/c,d/count"))

    assert asked == "/a,,b/counter.so,out=/c,,d/count"


def test_only_pages_at_the_programs_own_addresses_are_the_programs() -> None:
    smaps = """\
5500042000-5500908000 rw-p 00000000 00:00 0
Size:               9000 kB
Rss:                8868 kB
5502b20000-5503eb9000 r-xp 00000000 08:01 99 /x/libonnxruntime.so
Rss:               14372 kB
7f6659000000-7f6660fff000 rwxp 00000000 00:00 0
Rss:               40960 kB
55756a966000-55756ac1e000 r-xp 00000000 08:01 98 /usr/bin/qemu-aarch64
Rss:                1564 kB
"""

    assert program_bytes(smaps) == (8868 + 14372) * 1024


def test_where_program_and_emulator_cannot_be_told_apart_there_is_no_figure() -> None:
    smaps = """\
5500042000-5500908000 rw-p 00000000 00:00 0
Rss:                8868 kB
5555a96000-5555c1e000 r-xp 00000000 08:01 98 /usr/bin/qemu-aarch64
Rss:                1564 kB
"""

    assert program_bytes(smaps) == 0


def answers(source: Source, values: list[list[float]]) -> ItemsScored:
    rows = np.array([[float(n), *row] for n, row in enumerate(values)])
    return ItemsScored(
        trial="t",
        model="m",
        source=source,
        metric="outputs",
        items=len(values),
        width=len(values[0]),
        packed=pack(rows),
    )


def compare(theirs: list[list[float]], ours: list[list[float]]) -> tuple[object, ...]:
    found = compared(
        answers(Source.SESSION, theirs), answers(Source.REFERENCE, ours), "max"
    )
    assert found is not None
    return found.items, found.identical, found.largest_difference, found.largest_value


def test_outputs_are_identical_only_where_every_value_is() -> None:
    assert compare([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, -4.5]]) == (
        2,
        1,
        8.5,
        4.5,
    )


def test_what_is_no_number_on_both_sides_is_the_same_and_on_one_side_is_not() -> None:
    nan = float("nan")

    assert compare([[nan, 1.0]], [[nan, 1.0]])[:3] == (1, 1, 0.0)
    one_sided = compare([[nan, 1.0]], [[2.0, 1.0]])
    assert one_sided[1] == 0
    assert one_sided[2] == np.finfo(np.float64).max


def test_outputs_of_another_form_are_not_compared() -> None:
    one = answers(Source.SESSION, [[1.0, 2.0]])
    other = answers(Source.REFERENCE, [[1.0]])

    assert compared(one, other, "max") is None


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("The process was ended by SIGILL: qemu: …", "that cortex-a53 does not have"),
        ("The process was ended by SIGSEGV: qemu: …", "crashed on the emulated"),
        ("The process ended with exit status 2: no", "exit status 2"),
    ],
)
def test_a_crash_is_told_in_a_sentence(reason: str, said: str) -> None:
    ended = TrialEnded(trial="t", outcome=Outcome.CRASHED, queries=0, reason=reason)

    assert said in explained(ended, "cortex-a53")
