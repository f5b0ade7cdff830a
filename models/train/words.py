"""The words that are spoken, and the voices of espeak-ng that speak them.

Training and the held-out set share no voice, and no word of the class "unknown".
"""

from dataclasses import dataclass

from train.task import Part

SILENCE, UNKNOWN = "silence", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """Keywords by class name → what is read out, the others, and the accents.

    `others` are the words of the class "unknown": some for training, some held out.
    """

    code: str
    accents: tuple[str, ...]
    keywords: dict[str, str]
    others: dict[Part, tuple[str, ...]]

    @property
    def classes(self) -> tuple[str, ...]:
        """Give the classes in the order of the output."""
        return (*self.keywords, SILENCE, UNKNOWN)


MANDARIN = Language(
    code="cmn",
    # Written in pinyin: read from characters, espeak-ng 1.51 spells the syllables
    # out in English.
    accents=("cmn-latn-pinyin",),
    keywords={
        "打开": "da3 kai1",
        "关闭": "guan1 bi4",
        "升高": "sheng1 gao1",
        "降低": "jiang4 di1",
        "停止": "ting2 zhi3",
        "播放": "bo1 fang4",
        "向左": "xiang4 zuo3",
        "向右": "xiang4 you4",
        "你好": "ni3 hao3",
        "帮助": "bang1 zhu4",
    },
    others={
        Part.TRAINING: (
            *("tian1 qi4", "shi2 jian1", "yin1 yue4", "dian4 shi4", "kong1 tiao2"),
            *("chuang1 lian2", "chu2 fang2", "ke4 ting1", "wo4 shi4", "jin1 tian1"),
            *("xie4 xie5", "zai4 jian4", "peng2 you3", "lao3 shi1", "bei3 jing1"),
            *("zhong1 guo2", "re4 shui3", "mi3 fan4", "hong2 se4", "kan4 shu1"),
            *("da3 che1", "guan1 men2", "sheng1 ri4", "jiang4 wen1", "ting2 che1"),
            *("bo1 li2", "xiang4 qian2", "ni3 men5", "bang1 mang2", "gao1 xing4"),
            *("da3 dian4", "kai1 hui4", "guan1 xin1", "bi4 ye4", "sheng1 huo2"),
            *("jiang4 jia4", "ting2 dian4", "zhi3 jin1", "bo1 cai4", "fang4 xue2"),
            *("zuo3 you4", "you4 mian4", "hao3 chi1", "zhu4 li3", "ni3 zao3"),
            *("che1 zhan4", "fei1 ji1", "yi1 fu5", "hua1 yuan2", "dian4 nao3"),
            *("xue2 xiao4", "gong1 zuo4", "jia1 ren2", "hai2 zi5", "niu2 nai3"),
            *("ji1 dan4", "bai2 cai4", "shui4 jiao4", "qi3 chuang2", "zou3 lu4"),
        ),
        Part.HELD_OUT: (
            *("ming2 tian1", "wan3 shang5", "xi3 yi1", "shou3 ji1", "shang4 hai3"),
            *("yi1 sheng1", "shui3 guo3", "lü4 se4", "fang2 jian1", "pao3 bu4"),
            *("da3 zi4", "kai1 men2", "sheng1 yin1", "guang3 bo1", "xiang4 hou4"),
            *("zuo3 bian1", "you4 shou3", "hao3 de5", "zhu4 yi4", "di1 tou2"),
        ),
    },
)

ENGLISH = Language(
    code="en",
    accents=(
        *("en-us", "en-gb", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd"),
        *("en-gb-scotland", "en-029", "en-us-nyc"),
    ),
    keywords={
        word: word
        for word in (
            *("down", "go", "left", "no", "off"),
            *("on", "right", "stop", "up", "yes"),
        )
    },
    others={
        Part.TRAINING: (
            *("bed", "bird", "cat", "dog", "eight", "five", "four", "happy", "house"),
            *("marvin", "nine", "one", "seven", "sheila", "six", "three", "tree"),
            *("two", "wow", "zero", "water", "music", "light", "kitchen", "Monday"),
            *("open", "door", "letter", "night", "cup", "town", "know how", "lift"),
            *("ground", "about", "doubt", "rope", "boat", "low", "grow", "lesson"),
            *("laugh", "soft", "loft", "rock", "long", "orange", "under", "write to"),
            *("rice", "line", "bright", "start", "top", "spot", "box", "bus", "but"),
            *("cut", "mother", "yet", "west", "guess", "dress", "hello", "sound"),
            *("monkey", "number", "picture", "garden", "summer", "river", "street"),
        ),
        Part.HELD_OUT: (
            *("backward", "follow", "forward", "learn", "visual", "green", "table"),
            *("window", "paper", "shop", "dawn", "north", "gold", "less", "often"),
            *("write", "step", "done", "yellow", "apple"),
        ),
    },
)

_TRAINING_VOICES = (
    *("Alex", "Alicia", "Andrea", "Annie", "AnxiousAndy", "Denis", "Diogo", "Gene"),
    *("Gene2", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike"),
    *("RicishayMax", "RicishayMax2", "Tweaky", "UniRobot", "adam", "anika", "aunty"),
    *("announcer", "antonio", "belinda", "benjamin", "caleb", "croak", "david", "ed"),
    *("edward", "f1", "f2", "f3", "fast", "grandma", "grandpa", "iven", "iven2"),
    *("john", "kaukovalta", "klatt", "klatt2", "klatt3", "m1", "m2", "m3", "m4", "m5"),
    *("marcelo", "max", "miguel", "norbert", "pablo", "pedro", "quincy", "rob"),
    *("robosoft", "robosoft2", "robosoft4", "robosoft6", "sandro", "steph", "steph2"),
    *("travis", "victor", "whisper"),
)
_HELD_OUT_VOICES = (
    *("Andy", "Henrique", "Nguyen", "RicishayMax3", "Storm", "boris", "edward2"),
    *("f4", "f5", "gustave", "iven3", "iven4", "klatt4", "klatt5", "linda", "m6"),
    *("m7", "m8", "michel", "paul", "robert", "robosoft3", "robosoft5", "shelby"),
    *("steph3", "whisperf", "zac", "klatt6"),
)
VOICES = {Part.TRAINING: _TRAINING_VOICES, Part.HELD_OUT: _HELD_OUT_VOICES}
"""Variants of espeak-ng 1.51: larynx, tract and manner; 68 to learn from, 28 not."""
