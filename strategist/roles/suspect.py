"""Conversations that are no source of advice, because somebody in them speaks to us. Pure.

Customers speak of their matter. A text that speaks to those who teach, test or audit, dictates lines or rules, imitates our delimiters or a
chat template, or is written so that a filter may not read it, was not written for the agent that answers it; an advisor that reads it may
do what it says. So it is not shown to one. What is lost is one conversation to learn from: a false alarm costs little, and this may be
suspicious where lint must not be. It proves nothing: an attacker who talks like any customer is not told apart here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

from strategist.languages import SUPPORTED
from strategist.library.disguise import readings
from strategist.library.overreach import as_written
from strategist.placement import has_delimiter
from strategist.records.chat import Message

_MARKUP = re.compile(
    r"<\|[^|\n]{1,40}\|>|\[/?(?:inst|system)\]|[<\uff1c]\s*[/\uff0f]?\s*(?:conversation|chat|reply_\w|system|assistant|script)\b"
    r"|(?:^|\n)\s*(?:#{2,}\s*)?(?:system|assistant)\s*:|\bsystem\s*:\s*\S|```|[\"']?(?:lines|gap)[\"']?\s*:\s*[\[\"']|\|\s*gap\s*\|",
    re.I,
)
_BLOB = re.compile(
    r"(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]{0,40}\d)[A-Za-z0-9+/]{24,}={0,2}|(?:[0-9a-f]{2}){16,}"
    r"|(?:%[0-9a-f]{2}){4,}"
)
_APART = re.compile(r"(?<!\w)(?:[^\W\d_][ ._*-]+){4,}[^\W\d_](?!\w)")
_HIDDEN = re.compile(r"[^\W\d_][\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069]+[^\W\d_]|[\u202a-\u202e\u2066-\u2069]")
_WIDE = re.compile(r"[\uff21-\uff3a\uff41-\uff5a]{3,}|[\U0001d400-\U0001d7ff]{3,}")
_MARKED = re.compile(r"(?:[^\W\d_][\u0300-\u036f\u1ab0-\u1aff\u20d0-\u20ff]+){3,}")
_WORD = re.compile(r"[^\W\d_]{2,}")
_OTHER_SCRIPTS = ("CYRILLIC", "GREEK", "CHEROKEE", "ARMENIAN", "COPTIC")


def suspicion(messages: Sequence[Message]) -> str | None:
    """What in the customers' messages or the tools' results speaks to us, in words for a person; None where nothing does."""
    return next((why for message in messages if message.role in ("user", "tool") for why in _why(message.content)), None)


def _why(text: str) -> Iterator[str]:
    if has_delimiter(text):
        yield "it imitates the block of guidance"
    for pattern, what in (
        (_MARKUP, "it imitates a prompt"),
        (_BLOB, "encoded text"),
        (_APART, "letters set apart"),
        (_HIDDEN, "hidden characters"),
    ):
        if found := pattern.search(text):
            yield f"{what}: {found[0][:40]!a}"
    if (
        _WIDE.search(text)
        or _MARKED.search(unicodedata.normalize("NFC", text))
        or any(_mixes_scripts(word) for word in _WORD.findall(text))
    ):
        yield "letters that imitate others"
    plain = " ".join(text.split())
    if found := _speaking().search(plain):
        yield f"it speaks to those who teach or test: {found[0]!r}"
    if as_written(plain, "") is None and any(_wants(reading) for reading in readings(plain)[1:]):
        yield "a message in a simple code"


def _wants(text: str) -> bool:
    return _speaking().search(text) is not None or as_written(text, "") is not None


@cache
def _speaking() -> re.Pattern[str]:
    """In every language: who attacks chooses the words."""
    return re.compile("|".join(language.speaks_to_us for language in SUPPORTED.values()), re.I)


def _mixes_scripts(word: str) -> bool:
    scripts = {unicodedata.name(char, "").split(" ")[0] for char in word}
    return "LATIN" in scripts and not scripts.isdisjoint(_OTHER_SCRIPTS)
