from pathlib import Path

import pytest

from harness.domain.scenario import (
    ColdStart,
    LlmDecode,
    LlmSustained,
    MultiStream,
    Offline,
    Periodic,
    Server,
    SingleStream,
    Sustained,
)
from harness.domain.workload import Remote, Suite
from harness.errors import SchemaError, UnknownName, UsageError
from harness.schema import suite as suite_module
from harness.schema.reading import json_schema
from harness.schema.suite import WrittenSuite, load_suite, suite_names, suite_path
from harness.units import NS_PER_S

WHOLE = """\
format = "duanping/suite/1"
name = "mine"

[[workload]]
id = "kws"
model = "dscnn-kws"
title_zh = "关键词识别"
title_en = "Keyword spotting"

[[workload.scenario]]
kind = "SingleStream"
[[workload.scenario]]
kind = "MultiStream"
samples_per_query = 4
[[workload.scenario]]
kind = "Offline"
[[workload.scenario]]
kind = "Server"
latency_bound = "15 ms"
percentile = 0.9
rate_tolerance = 0.1
[[workload.scenario]]
kind = "Periodic"
period = "1 s"
deadline = "32 ms"
[[workload.scenario]]
kind = "Sustained"
duration = "20 min"
[[workload.scenario]]
kind = "ColdStart"

[workload.reference]
latency = "28.9 ms, MLPerf Tiny v1.2"
"""


def read(tmp_path: Path, text: str) -> Suite:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_suite(path)


def test_every_kind_of_scenario_is_read_with_its_own_keys(tmp_path: Path) -> None:
    (workload,) = read(tmp_path, WHOLE).workloads

    assert workload.scenarios == (
        SingleStream(),
        MultiStream(samples_per_query=4),
        Offline(),
        Server(latency_bound_ns=15_000_000, percentile=0.9, rate_tolerance=0.1),
        Periodic(period_ns=NS_PER_S, deadline_ns=32_000_000),
        Sustained(duration_ns=1200 * NS_PER_S),
        ColdStart(),
    )
    assert workload.reference == {"latency": "28.9 ms, MLPerf Tiny v1.2"}


@pytest.mark.parametrize(
    ("old", "new", "said", "place"),
    [
        ("title_zh", "titel_zh", "Did you mean 'title_zh'", "/workload/0 (kws)"),
        ("deadline =", "dedline =", "Did you mean 'deadline'", "scenario"),
        ('"Periodic"', '"Perodic"', "Did you mean 'Periodic'", "/scenario/4/kind"),
        ('kind = "Offline"\n', "", "kind", "/scenario/2"),
        ('deadline = "32 ms"\n', "", "'deadline' is missing", "/scenario/4"),
        ('"32 ms"', '"32 mW"', "does not measure", "/scenario/4/deadline"),
        ('"32 ms"', '"32 msec"', "unit 'msec'", "/scenario/4/deadline"),
        ('"32 ms"', '"soon"', "not a quantity", "/scenario/4/deadline"),
        ('"32 ms"', "32", "32 may not stand here", "deadline"),
        ('"32 ms"', '"-1 ms"', "Deadline_ns must be above zero", "/scenario/4"),
        ("percentile = 0.9", "percentile = 90.0", "must lie in (0, 1)", "/scenario/3"),
        ("samples_per_query = 4", "samples_per_query = 0", "above zero", "/scenario/1"),
        ('id = "kws"', 'id = "K W S"', "lower-case", "/workload/0"),
        ('"duanping/suite/1"', '"duanping/suite/2"', "duanping/suite/1", "/format"),
        ('kind = "ColdStart"', 'kind = "Offline"', "twice", "/workload/0"),
        ("model =", "model = [", "not TOML", ""),
    ],
)
def test_a_slip_of_the_pen_is_met_with_place_and_remedy(
    tmp_path: Path, old: str, new: str, said: str, place: str
) -> None:
    assert old in WHOLE

    with pytest.raises(UsageError) as refusal:
        read(tmp_path, WHOLE.replace(old, new, 1))

    assert said in refusal.value.sentence()
    assert "mine.toml" in refusal.value.where
    assert place in refusal.value.where


def test_a_suite_without_workloads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="empty"):
        read(tmp_path, 'format = "duanping/suite/1"\nname = "mine"\nworkload = []\n')


@pytest.mark.parametrize("what", ["7", '["kws"]'])
def test_workloads_that_are_no_tables_are_refused(tmp_path: Path, what: str) -> None:
    with pytest.raises(SchemaError, match="workload"):
        read(
            tmp_path, f'format = "duanping/suite/1"\nname = "mine"\nworkload = {what}\n'
        )


def test_two_workloads_of_one_id_are_refused(tmp_path: Path) -> None:
    second = WHOLE[WHOLE.index("[[workload]]") :]

    with pytest.raises(SchemaError, match="twice"):
        read(tmp_path, WHOLE + second)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as refusal:
        load_suite(tmp_path / "none.toml")

    assert "none.toml" in refusal.value.where


@pytest.mark.parametrize("name", suite_names())
def test_the_shipped_suites_are_read(name: str) -> None:
    suite = load_suite(suite_path(name))

    assert suite.name == name
    assert len(suite.workloads) >= 3


def test_a_suite_is_found_by_its_name_or_its_path() -> None:
    assert suite_path("wearable").name == "wearable.toml"
    assert suite_path("./wearable.toml") == Path("wearable.toml")

    with pytest.raises(UnknownName, match="Did you mean 'wearable'"):
        suite_path("wearables")


def test_the_exported_schema_is_up_to_date() -> None:
    exported = Path(suite_module.__file__).parent / "suite.v1.schema.json"

    assert exported.read_bytes() == json_schema(WrittenSuite)


PIPELINE = """\
format = "duanping/suite/1"
name = "mine"

[[workload]]
id = "face"
title_zh = "人脸"
title_en = "Faces"
[[workload.stage]]
name = "embed"
model = "face-emb"
[workload.stage.remote]
url = "http://vision.example:8080/embed"
timeout = "250 ms"
[[workload.scenario]]
kind = "SingleStream"
"""


def test_a_stage_may_name_a_service_and_how_long_it_may_take(tmp_path: Path) -> None:
    (stage,) = read(tmp_path, PIPELINE).workloads[0].stages

    assert stage.remote == Remote(
        url="http://vision.example:8080/embed", timeout_ns=250_000_000
    )
    assert (stage.remote.host, stage.remote.port) == ("vision.example", 8080)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("http://vision", "https://vision", "is no http://host/path"),
        ("250 ms", "250 m", "stage/0/remote/timeout"),
        ("timeout =", "time_out =", "time_out"),
    ],
)
def test_a_service_that_cannot_be_asked_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    with pytest.raises(SchemaError) as caught:
        read(tmp_path, PIPELINE.replace(old, new))

    assert why in str(caught.value)


def test_a_language_model_may_be_asked_for_a_long_time_and_by_text(
    tmp_path: Path,
) -> None:
    text = (
        PIPELINE.partition("[[workload.stage]]")[0].replace(
            'id = "face"', 'id = "llm"\nmodel = "llm-26m"'
        )
        + """\
[[workload.scenario]]
kind = "LlmDecode"
tokenise = "in"
[[workload.scenario]]
kind = "LlmSustained"
duration = "10 min"
prompt_tokens = 64
"""
    )

    talk, long = read(tmp_path, text).workloads[0].scenarios

    assert talk == LlmDecode(tokenises=True)
    assert long == LlmSustained(duration_ns=600 * NS_PER_S, prompt_tokens=64)
