import multiprocessing
from pathlib import Path

import pytest

from harness.catalogue.build import Builder, build_missing, ensure_built
from harness.catalogue.index import load_index
from harness.catalogue.store import (
    builder_stamp,
    is_current,
    mark_built,
    model_path,
    models_root,
)
from harness.domain.profile import Scheme
from harness.errors import StorageError, TargetError, UnknownName

FAKE = """\
import json, os, sys
from pathlib import Path

out = Path(sys.argv[sys.argv.index("--out") + 1])
scheme = sys.argv[sys.argv.index("--scheme") + 1]
names = sys.argv[sys.argv.index("--scheme") + 2:]
print("a library says hello")
with (out / "calls").open("a") as calls:
    calls.write(" ".join(names) + " " + os.environ["ORT_DISABLE_TELEMETRY"] + "\\n")
for name in names:
    if name == "bad":
        print("Traceback\\nStaleRanges: calibrate again", file=sys.stderr)
        sys.exit(1)
    if name != "forgotten":
        (out / f"{name}-{scheme}.onnx").write_text(name)
    print(json.dumps({"name": name}), flush=True)
"""


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    """Give a builder that writes a name where a model would be."""
    script = tmp_path / "models" / "build.py"
    script.parent.mkdir()
    script.write_text(FAKE, encoding="utf-8")
    return Builder(script=script, root=tmp_path / "built")


def calls(builder: Builder) -> list[str]:
    return (builder.root / "calls").read_text().splitlines()


def build(builder: Builder, *names: str) -> list[str]:
    built: list[str] = []
    build_missing(builder, names, Scheme.U8S8, built.append)
    return built


def test_what_is_missing_is_built_once(builder: Builder) -> None:
    first = build(builder, "a", "b")
    second = build(builder, "a", "b", "c")

    assert (first, second) == (["a", "b"], ["c"])
    assert calls(builder) == ["a b 1", "c 1"]


def test_the_paths_are_given_by_name(builder: Builder) -> None:
    paths = build_missing(builder, ["a"], Scheme.S8S8, lambda _: None)

    assert paths == {"a": builder.root / "a-s8s8.onnx"}
    assert paths["a"].read_text() == "a"


def test_a_changed_builder_builds_again(builder: Builder) -> None:
    build(builder, "a")
    (builder.script.parent / "graph.py").write_text("x = 1\n")

    assert build(builder, "a") == ["a"]


def test_a_file_that_was_damaged_is_built_again(builder: Builder) -> None:
    build(builder, "a")
    model_path(builder.root, "a", Scheme.U8S8).write_text("b")

    assert build(builder, "a") == ["a"]


def test_a_failure_is_told_with_the_last_words_and_keeps_what_was_finished(
    builder: Builder,
) -> None:
    with pytest.raises(TargetError) as failure:
        build(builder, "a", "bad", "c")
    build(builder, "a")

    assert "StaleRanges: calibrate again" in failure.value.what
    assert calls(builder) == ["a bad c 1"]


def test_a_builder_that_forgets_a_model_is_not_believed(builder: Builder) -> None:
    with pytest.raises(TargetError, match="without giving model 'forgotten'"):
        build(builder, "forgotten")


def test_an_interruption_ends_the_builder_and_keeps_what_was_finished(
    builder: Builder,
) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_missing(builder, ["a", "b"], Scheme.U8S8, interrupt)

    stamp = builder_stamp(builder.script.parent)
    assert is_current(model_path(builder.root, "a", Scheme.U8S8), stamp)


def test_two_processes_do_not_build_the_same_twice(builder: Builder) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (builder, ["a", "b"], Scheme.U8S8, str)
    processes = [
        context.Process(target=build_missing, args=arguments) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0]
    assert calls(builder) == ["a b 1"]


def test_a_folder_that_cannot_be_made_names_the_variable_to_set(
    builder: Builder,
) -> None:
    builder.root.write_text("a file in the way")

    with pytest.raises(StorageError, match="DUANPING_MODELS"):
        build(builder, "a")


def test_a_file_that_cannot_be_stamped_is_an_error_of_storage(
    builder: Builder,
) -> None:
    (builder.root / "a-u8s8.onnx.stamp" / "in the way").mkdir(parents=True)

    with pytest.raises(StorageError, match="'a' cannot be kept"):
        build(builder, "a")


def test_a_builder_that_vanished_into_a_crash_is_told_so(builder: Builder) -> None:
    builder.script.write_text("import os; os._exit(7)")

    with pytest.raises(TargetError, match=r"exit status 7\): it said nothing"):
        build(builder, "a")


def test_an_unknown_name_is_refused_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DUANPING_MODELS", str(tmp_path / "none"))

    with pytest.raises(UnknownName, match="Did you mean 'dscnn-kws'"):
        ensure_built(["dscnn-kwz"], Scheme.U8S8, print)
    assert not (tmp_path / "none").exists()


def test_a_real_model_has_the_digest_of_the_index(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DUANPING_MODELS", str(tmp_path))
    entry = load_index().entry("fcae-ad")
    built: list[str] = []

    path = ensure_built(["fcae-ad"], Scheme.U8S8, built.append)["fcae-ad"]

    artifact = entry.artifact(Scheme.U8S8, path)
    assert built == ["fcae-ad"]
    assert path.parent == tmp_path
    assert artifact.sha256 == entry.files[Scheme.U8S8].sha256


def test_building_leaves_no_compiled_files_beside_the_scripts(
    builder: Builder,
) -> None:
    (builder.script.parent / "more.py").write_text("")
    text = builder.script.read_text()
    builder.script.write_text(f"import more\n{text}")

    build(builder, "a")

    assert not (builder.script.parent / "__pycache__").exists()


def test_models_lie_where_the_variable_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DUANPING_MODELS", str(tmp_path))

    assert models_root() == tmp_path


def test_models_of_a_checkout_lie_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUANPING_MODELS", raising=False)

    assert models_root().parts[-2:] == ("build", "models")


def test_models_of_an_installation_lie_in_the_cache_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DUANPING_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("harness.shipped.checkout", lambda: None)

    assert models_root() == tmp_path / "duanping" / "models"


def test_a_stamp_that_is_no_stamp_is_not_current(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_text("a")
    mark_built(path, "s")
    assert is_current(path, "s")

    (tmp_path / "a.onnx.stamp").write_text("{")

    assert not is_current(path, "s")


def test_the_stamp_depends_on_the_ranges_too(builder: Builder) -> None:
    folder = builder.script.parent
    before = builder_stamp(folder)

    (folder / "ranges").mkdir()
    (folder / "ranges" / "a.json").write_text("{}")

    assert builder_stamp(folder) != before
