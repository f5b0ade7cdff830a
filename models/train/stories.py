"""What the cards say in words. Sizes are taken from the code that they are about."""

from train.features import (
    BANDS,
    CENTRE,
    COEFFICIENTS,
    FLOOR,
    HIGHEST_HZ,
    HOP,
    LOWEST_HZ,
    RATE_HZ,
    SPREAD,
    TRANSFORM,
    WINDOW,
)
from train.task import Part, Story
from train.words import ENGLISH, MANDARIN, VOICES, Language

_GOOD_FOR = (
    "Good for showing what a device, a runtime or a quantisation does to a model "
    "that answers for something, at the cost of the seeded model of the same graph."
)
_SIMULATED_EN = "Trained on simulated data: accuracy compares builds, not products."
_SIMULATED_ZH = "用仿真数据训练:精度仅用于比较部署与量化,不代表实际应用效果。"
_SPOKEN_EN = "Trained on synthetic speech: accuracy compares builds, not products."
_SPOKEN_ZH = "用合成语音训练:精度仅用于比较部署与量化,不代表真人语音的识别率。"

_TO_CEPSTRA = (
    f"One second of sound at {RATE_HZ} Hz, values within ±1.",
    f"Windows of {WINDOW} samples every {HOP}, Hann.",
    f"Power of a Fourier transform of {TRANSFORM} points, divided by {WINDOW}.",
    (
        f"{BANDS} triangular bands, evenly spaced in mel (2595·log₁₀(1 + f/700)) from "
        f"{LOWEST_HZ:g} to {HIGHEST_HZ:g} Hz, peak 1; natural logarithm of power + "
        f"{FLOOR:g}."
    ),
    f"Orthonormal DCT-II, the first {COEFFICIENTS} coefficients.",
    (
        f"Less {', '.join(f'{one:g}' for one in CENTRE)}; divided by "
        f"{', '.join(f'{one:g}' for one in SPREAD)}."
    ),
    "Rounded to steps of 1/32 in 8 bits. The code is `models/train/features.py`.",
)


def _commands(language: Language) -> str:
    others = sum(map(len, language.others.values()))
    return f"{len(language.keywords)} commands and {others} other words"


def _speech(title: str, words: str, accents: str, extra: tuple[str, ...]) -> Story:
    return Story(
        title=title,
        data=(
            f"{words}, read by espeak-ng 1.51 (Debian) in {accents}, at 120 to 230 "
            "words a minute and pitches 15 to 85; then a room (tail of 0.05 to 0.4 s), "
            "a tilt of the spectrum, hiss, rumble, motor hum or babble at 5 to 30 dB "
            "below the word, and a gain. Silence is noise alone."
        ),
        source="voice",
        sources="voices",
        apart=(
            f"No voice is on both sides (of {sum(map(len, VOICES.values()))} variants, "
            f"{len(VOICES[Part.HELD_OUT])} are held out), and no word of the class "
            "`unknown`. All voices come from one synthesiser: they differ less than "
            "people do. The same held-out voices, with other takes, were used while "
            "the recipe was settled."
        ),
        preparation=_TO_CEPSTRA,
        good_for=_GOOD_FOR,
        not_good_for=(
            (
                "Speech of people. A model of the same size, trained on synthetic "
                "voices in the same way by the authors, fell from 94 % to 41 % on "
                "recorded speech; expect nothing better here."
            ),
            "Waking a product, or anything that acts on what it hears.",
            "Children, accents, dialects, distance, two speakers at once.",
            *extra,
        ),
        note_zh=_SPOKEN_ZH,
        note_en=_SPOKEN_EN,
    )


STORIES: dict[str, Story] = {
    "kws-zh": _speech(
        "ten Mandarin commands",
        f"{_commands(MANDARIN)}, in pinyin with tones",
        "its Mandarin voice with many variants",
        ("Cantonese and other Chinese languages.",),
    ),
    "kws-en": _speech(
        "ten English commands",
        f"{_commands(ENGLISH)} (the commands of MLPerf Tiny)",
        "eight English accents with many variants each",
        ("Comparison with MLPerf Tiny's accuracy: same graph, other data.",),
    ),
    "har-imu": Story(
        title="six activities from a belt",
        data=(
            "Windows of 2.56 s from simulated people: pace, swing, harmonics of a "
            "step, seat of the device, noise and posture are drawn for each person; "
            "stairs differ from the flat by pace, swing, lean and heel."
        ),
        source="person",
        sources="people",
        apart="No simulated person is on both sides.",
        preparation=(
            (
                "Acceleration (x forward, y left, z up, with gravity) in g and turning "
                "rate in units of 2 rad/s, at the waist, 50 samples a second."
            ),
            "128 samples of the six axes, in this order; no filter, no normalisation.",
            "Rounded to steps of 1/32 in 8 bits.",
        ),
        good_for=_GOOD_FOR,
        not_good_for=(
            "Real people: no recording of anyone was used.",
            "A device in a pocket or on a wrist; sports, wheelchairs, vehicles.",
            "Health, safety, work-time or insurance purposes of any kind.",
        ),
        note_zh=_SIMULATED_ZH,
        note_en=_SIMULATED_EN,
    ),
    "fall-imu": Story(
        title="falls from a belt",
        data=(
            "Windows of 4 s from simulated people: falls to any side, from a walk, "
            "standing or a chair, hard and soft, half of all windows; and walks, runs, "
            "stairs, jumps, dropping into a chair, lying down, stumbling, picking "
            "something up, rest."
        ),
        source="person",
        sources="people",
        apart="No simulated person is on both sides.",
        preparation=(
            (
                "Acceleration (x forward, y left, z up, with gravity) in units of 2 g "
                "and turning rate in units of 2 rad/s, at the waist, 50 samples a "
                "second."
            ),
            "200 samples of the six axes, in this order; no filter, no normalisation.",
            "Rounded to steps of 1/32 in 8 bits (so ±7.9 g).",
        ),
        good_for=_GOOD_FOR,
        not_good_for=(
            (
                "Guarding a person. The authors found a model trained like this one, "
                "on simulation alone, right in 90 % of recorded (acted) falls and "
                "daily motions, which is far too little."
            ),
            "Slow falls along a wall, falls from a bed, anyone in a wheelchair.",
            "A device on a wrist.",
            "False alarms a day: half of these windows are falls; in life hardly any.",
        ),
        note_zh=_SIMULATED_ZH,
        note_en=_SIMULATED_EN,
    ),
    "bearing-ad": Story(
        title="damaged bearings, found by not knowing them",
        data=(
            "An autoencoder that has only seen sound machines. Vibration is simulated: "
            "noise, orders of the shaft, meshing gears, and for damage of inner race, "
            "outer race or ball, impulses at the orders of a 6205 bearing, ringing "
            "through a resonance; three depths of damage, unknown to the model."
        ),
        source="machine",
        sources="machines",
        apart="No simulated machine is on both sides.",
        preparation=(
            "3072 samples of acceleration, 12 000 a second (0.256 s).",
            (
                "Five spectra of 1024 samples every 512, Hann; power; sums of 4 lines: "
                "128 bands; natural logarithm of power + 1e-9."
            ),
            "Less the mean of all 640, halved: the level plays no part.",
            "Five spectra end to end, rounded to steps of 1/16 in 8 bits.",
            "The score is the mean squared error between output and input.",
        ),
        good_for=_GOOD_FOR,
        not_good_for=(
            "A real machine: its threshold would have to be learnt on that machine.",
            "Changing speed, impacts from the process, gear or motor faults.",
            "Saying what is damaged, or how long it will last.",
        ),
        note_zh=_SIMULATED_ZH,
        note_en=_SIMULATED_EN,
    ),
    "bearing-state": Story(
        title="ten states of a bearing",
        data=(
            "Simulated vibration as for `bearing-ad`: sound, and damage of inner race, "
            "outer race and ball in three depths, as frequent as each other."
        ),
        source="machine",
        sources="machines",
        apart="No simulated machine is on both sides.",
        preparation=(
            "1024 samples of acceleration, 12 000 a second (0.085 s).",
            "Divided by four times their standard deviation.",
            "Rounded to steps of 1/16 in 8 bits.",
        ),
        good_for=_GOOD_FOR,
        not_good_for=(
            "A real machine, another bearing than a 6205, shafts outside 24 to 32 Hz.",
            "Two damages at once, gear or motor faults.",
            "Saying how long a bearing will last.",
        ),
        note_zh=_SIMULATED_ZH,
        note_en=_SIMULATED_EN,
    ),
    "ecg-beats": Story(
        title="five kinds of beats in ten seconds of one lead",
        data=(
            "Simulated strips: beats are sums of bell curves with the shape of a "
            "patient; sinus rhythm, atrial fibrillation (no P, irregular, fine waves), "
            "two to four ventricular or supraventricular ectopic beats, bundle branch "
            "block; with wander, muscle noise and mains."
        ),
        source="patient",
        sources="patients",
        apart="No simulated patient is on both sides.",
        preparation=(
            "One lead in mV, 250 samples a second, 2500 samples.",
            (
                "No filter, no normalisation; rounded to steps of 30 µV in 8 bits "
                "(so ±3.8 mV)."
            ),
        ),
        good_for=_GOOD_FOR,
        not_good_for=(
            (
                "Any medical purpose. No recording of any heart was used; real strips "
                "are far more various than these."
            ),
            "Rhythms other than the five, two of them in one strip, pacemakers.",
            "Exercise, loose electrodes, other leads.",
        ),
        note_zh=_SIMULATED_ZH,
        note_en=_SIMULATED_EN,
    ),
    "digits": Story(
        title="handwritten digits",
        data=(
            "The 1797 images that come with scikit-learn, which are the test part of "
            "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI "
            "Machine Learning Repository, 1998. Those learnt from are also shifted by "
            "one pixel each way."
        ),
        source="image",
        sources="images",
        apart=(
            "The last 1000 images in the order of the collection are held out. They "
            "are believed to be by other hands, mostly; who wrote what is not "
            "recorded, so each image counts as a source of its own."
        ),
        preparation=(
            "An image of 8×8, 0 (paper) to 1 (ink).",
            "Rounded to steps of 1/64 in 8 bits.",
        ),
        good_for="Good for a first try: real data, and the smallest model here.",
        not_good_for=(
            "Reading numbers: no segmentation, no other symbols, no 'none of these'.",
            "Timing: it is too small to say anything about a device.",
        ),
        note_zh="用公开手写数字训练:可用于演示精度流程,模型过小,不宜用于比较速度。",
        note_en="Trained on real handwritten digits, and too small to be worth timing.",
        is_twin=False,
        licence=(
            "Apache-2.0 for network and weights. The images in `digits.npz` are CC BY "
            "4.0 (Alpaydin and Kaynak, doi:10.24432/C50P49), rescaled and rounded."
        ),
    ),
}
