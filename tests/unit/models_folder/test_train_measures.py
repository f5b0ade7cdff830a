"""The arithmetic behind a card: intervals, areas, features, folded layers."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.fft import dct
from spec import assemble
from train.features import BANDS, CENTRE, RATE_HZ, SPREAD, cepstra
from train.measure import Answers, area, area_bounds, figure, threshold_of
from train.task import Metric, Part, decoded, encoded
from train.tasks import TASKS
from train.words import ENGLISH, MANDARIN, VOICES, Language

DRAWS = 300


def answered(right: npt.NDArray[np.bool_]) -> Answers:
    return Answers(classes=right.astype(np.int64), scores=right.astype(float))


def test_the_interval_by_items_is_that_of_wilson() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, method 3
    right = np.arange(263) < 81
    ones = np.ones(263, np.int64)

    found = figure(answered(right), ones, np.arange(263), Metric.TOP1)

    assert found.by_items.low == pytest.approx(0.2553, abs=5e-5)
    assert found.by_items.high == pytest.approx(0.3662, abs=5e-5)


def test_the_interval_by_sources_covers_where_items_of_a_source_are_alike() -> None:
    draw = np.random.default_rng(3)
    truth, items, people = 0.8, 20, 40
    sources = np.repeat(np.arange(people), items)
    ones = np.ones(items * people, np.int64)
    by_sources = by_items = 0
    for _ in range(DRAWS):
        skill = draw.beta(8.0, 2.0, size=people)
        right = draw.random(items * people) < skill[sources]
        found = figure(answered(right), ones, sources, Metric.TOP1)
        by_sources += found.by_sources.low <= truth <= found.by_sources.high
        by_items += found.by_items.low <= truth <= found.by_items.high

    # 95 % within what chance does to 300 draws, and a little for 40 people only
    assert 0.90 <= by_sources / DRAWS <= 0.99
    assert by_items / DRAWS < 0.8


def test_the_interval_of_an_area_covers_the_area() -> None:
    draw = np.random.default_rng(4)
    labels = np.repeat([0, 1], 100)
    truth = 0.9213503964748575  # Φ(2/√2): two unit normals that lie 2 apart
    covered = 0
    for _ in range(DRAWS):
        scores = draw.standard_normal(200) + 2.0 * labels
        found = area_bounds(area(scores, labels), labels)
        covered += found.low <= truth <= found.high

    assert 0.91 <= covered / DRAWS <= 0.99


def test_an_area_is_the_share_of_pairs_in_order_and_ties_count_half() -> None:
    draw = np.random.default_rng(5)
    scores, labels = draw.integers(8, size=60) / 8.0, draw.integers(2, size=60)
    pairs = [
        1.0 if odd > sound else 0.5 if odd == sound else 0.0
        for odd in scores[labels == 1]
        for sound in scores[labels == 0]
    ]

    assert area(scores, labels) == pytest.approx(np.mean(pairs))


def test_one_sound_item_in_twenty_lies_above_the_threshold() -> None:
    scores = np.random.default_rng(6).gamma(3.0, size=10_000)

    assert np.mean(scores > threshold_of(scores)) == pytest.approx(0.05, abs=0.005)


def test_eight_bits_keep_a_value_to_half_a_step() -> None:
    values = np.random.default_rng(7).uniform(-3.9, 3.9, 1000).astype(np.float32)

    kept = decoded(encoded(values, 1 / 32), 1 / 32)

    assert np.abs(kept - values).max() <= 1 / 64


def test_a_value_beyond_eight_bits_stays_at_the_end_of_the_scale() -> None:
    assert encoded(np.array([99.0, -99.0], np.float32), 1 / 32).tolist() == [127, -127]


def tone(hertz: float) -> npt.NDArray[np.float32]:
    return np.sin(2 * np.pi * hertz * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)


def mel(hertz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return 1127.0104805 * np.log1p(np.asarray(hertz, float) / 700.0)


def test_cepstra_agree_with_an_account_of_them_by_other_means() -> None:
    sound = np.random.default_rng(8).standard_normal(RATE_HZ).astype(np.float32)
    window = sound[320 * 17 : 320 * 17 + 480] * np.hanning(480)
    lines = np.arange(257)[:, None] * np.arange(480)[None]
    power = np.abs(np.exp(-2j * np.pi * lines / 512) @ window) ** 2 / 480
    edges = np.interp(
        np.linspace(mel(20), mel(7600), 42), mel(np.arange(8001)), np.arange(8001)
    )
    hertz = np.arange(257) * 31.25
    bands = [
        np.interp(hertz, edges[n : n + 3], [0.0, 1.0, 0.0], left=0, right=0) @ power
        for n in range(40)
    ]

    found = cepstra(sound)[0, 17] * SPREAD + CENTRE

    expected = dct(np.log(np.array(bands) + 1e-6), norm="ortho")[:10]
    np.testing.assert_allclose(found, expected, atol=1e-2)


def test_ten_times_the_sound_moves_only_the_first_coefficient() -> None:
    sound = 0.05 * np.random.default_rng(9).standard_normal(RATE_HZ)

    soft = cepstra(sound.astype(np.float32))[0] * SPREAD
    loud = cepstra((10.0 * sound).astype(np.float32))[0] * SPREAD

    # the logarithm of 100 in each of 40 bands, through an orthonormal transform
    moved = loud - soft
    np.testing.assert_allclose(moved[:, 0], np.log(100.0) * np.sqrt(BANDS), rtol=0.01)
    assert np.abs(moved[:, 1:]).max() < 0.1


def test_a_low_tone_and_a_high_one_differ_in_the_sign_of_the_tilt() -> None:
    low, high = (cepstra(tone(hertz))[0] * SPREAD + CENTRE for hertz in (300.0, 5000.0))

    assert low[:, 1].mean() > 0 > high[:, 1].mean()


@pytest.mark.parametrize("language", [MANDARIN, ENGLISH], ids=["zh", "en"])
def test_no_word_and_no_voice_is_on_both_sides(language: Language) -> None:
    learnt, held_out = Part.TRAINING, Part.HELD_OUT
    texts = set(language.keywords.values())

    assert not set(VOICES[learnt]) & set(VOICES[held_out])
    assert not set(language.others[learnt]) & set(language.others[held_out])
    assert not texts & {*language.others[learnt], *language.others[held_out]}
    assert len(language.classes) == len(set(language.classes)) == 12


@pytest.mark.parametrize("name", ["har-imu", "bearing-state", "kws-zh", "bearing-ad"])
def test_a_folded_network_answers_as_the_twin_that_learnt(name: str) -> None:
    torch = pytest.importorskip("torch", reason="the extra [train] is not installed")
    onnxruntime = pytest.importorskip("onnxruntime")
    from train.twin import Twin  # noqa: PLC0415 - needs the extra

    drawn = assemble(TASKS[name].spec).model
    twin = Twin(drawn)
    shape = TASKS[name].spec.inputs[0].shape
    fed = np.random.default_rng(10).uniform(-1, 1, (32, *shape)).astype(np.float32)
    for _ in range(5):
        twin(torch.from_numpy(fed))
    twin.eval()

    folded = twin.write_into(drawn).SerializeToString()
    session = onnxruntime.InferenceSession(folded)
    found = session.run(None, {session.get_inputs()[0].name: fed})[0]

    with torch.no_grad():
        said = twin(torch.from_numpy(fed))
    if name.startswith("kws"):
        said = said.softmax(1)
    np.testing.assert_allclose(found, said.numpy(), atol=1e-4)
