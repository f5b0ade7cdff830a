"""Words for people: every sentence of the report, by key, in two languages.

The words stand in ``i18n/zh.toml`` and ``i18n/en.toml``, with the same keys in both.
"""

import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from markupsafe import Markup, escape


class Language(StrEnum):
    """In which words a report is written."""

    ZH = "zh"
    EN = "en"
    BOTH = "both"
    """Chinese first, English beneath or beside it in smaller type."""


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Give all words of one language (``zh`` or ``en``): dotted key → text."""
    source = files("harness.report").joinpath("i18n", f"{language}.toml")
    tree = tomllib.loads(source.read_text(encoding="utf-8"))
    return MappingProxyType(dict(_leaves(tree, "")))


def _leaves(tree: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{key}.")
        else:
            yield key, str(value)


class Words:
    """The words of one report; call it with a key to have them as safe HTML."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.codes = ("zh", "en") if language is Language.BOTH else (language.value,)

    def __call__(self, key: str, **values: object) -> Markup:
        """Give the words of `key` as HTML, with `values` escaped into their places.

        Raises KeyError for a key that no catalogue has.
        """
        texts = {
            code: escape(catalogue(code)[key]).format(**values) for code in self.codes
        }
        return self._join(texts)

    def pair(self, zh: str, en: str) -> Markup:
        """Give words that come with the data, such as a workload's two titles."""
        texts = {"zh": escape(zh), "en": escape(en)}
        return self._join({code: texts[code] for code in self.codes})

    def with_zh(self, zh: str, key: str) -> Markup:
        """Give the words of `key`, the Chinese replaced by the data's own."""
        return self.pair(zh or catalogue("zh")[key], catalogue("en")[key])

    def joined(self, *parts: tuple[str, str] | str) -> Markup:
        """Give several words as one name: *a · b*, first in the one language.

        A part is a pair (Chinese, English) or a key.
        """
        texts = {
            code: Markup(" · ").join(
                catalogue(code)[part] if isinstance(part, str) else part[place]
                for part in parts
            )
            for code, place in (("zh", 0), ("en", 1))
        }
        return self._join({code: texts[code] for code in self.codes})

    def plain(self, key: str) -> str:
        """Give the words of `key` as bare text, for a title or an alternative text."""
        return " / ".join(dict.fromkeys(catalogue(code)[key] for code in self.codes))

    def knows(self, key: str) -> bool:
        """Say whether the catalogues have `key`."""
        return all(key in catalogue(code) for code in self.codes)

    def of(self, group: str, code: str) -> Markup:
        """Give the words for a code, or the bare code where it has none.

        A record written by a newer version may hold codes that this one cannot
        name; they are shown as they are, never dropped.
        """
        key = f"{group}.{code}"
        return self(key) if self.knows(key) else Markup("<code>{}</code>").format(code)

    def _join(self, texts: dict[str, Markup]) -> Markup:
        if len(set(texts.values())) == 1:
            return next(iter(texts.values()))
        spans = (
            Markup('<span class="{0}" lang="{0}">{1}</span>').format(code, text)
            for code, text in texts.items()
        )
        return Markup(" ").join(spans)
