"""Disguises: a line that is not written to be read. Pure.

Owns what plain writing is (Latin letters as European languages have them, words of letters or of digits, in the language of the domain) and
the ways in which a simple code is undone before a line is looked at. Knows nothing of what a line wants. It sees through what needs no key
and no thought; whatever looks like anything else is refused, not decoded.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from functools import cache, lru_cache

from strategist.languages import SUPPORTED, Language

FOREIGN_WORDS = 2
"""So many words of another language, and more of them than of its own, make a line foreign."""

_LAST_LETTER = 0x17F
"""End of Latin Extended-A: every letter of the languages of the European Union that are written in Latin ones, but for these."""
_MORE_LETTERS = frozenset("\u0218\u0219\u021a\u021b\u1e9e")
_FOLDED = str.maketrans({"\u0131": "i", "\u0142": "l", "\u0141": "L", "\u0111": "d", "\u00f8": "o", "\u00e6": "ae", "\u0153": "oe"})
_LETTERS_FOR = tuple(str.maketrans("013457@$", letters) for letters in ("oleastas", "oieastas"))
_MEASURE = r"\d+(?:st|nd|rd|th|x|h|am|pm|min|kg|g|mg|km|m|cm|mm|l|ml|gb|mb|er|fach|stel)|[ra]\d{1,3}"
_MIXED = re.compile(r"(?<![\w-])(?=[\w@$]*\d)(?=[\w@$]*[^\W\d_])[\w@$]{2,}", re.I)
_BLOB = re.compile(r"\b[A-Za-z0-9+/]{24,}={0,2}|\b[A-Za-z0-9+/]{6,}==?|%[0-9a-f]{2}(?:%[0-9a-f]{2})+|&#?\w+;|\\[ux][0-9a-f]{2}", re.I)
_APART = re.compile(r"(?<!\w)(?:[^\W\d_][\s._*-]+){3,}[^\W\d_](?!\w)")
_OTHERS = """
les des une pour avec sans chaque toujours tous aux prix est dans sur que qui poser leur
los las una para con sin siempre todos cada dinero del por pagar que espera
gli della delle per con senza sempre tutti ogni denaro
het een voor met zonder altijd alle elke geld niet klant
dla bez zawsze wszystkim oraz jest
"""


def unseen_character(text: str) -> str | None:
    """Control, format (zero-width, direction), private and unassigned characters, and line separators other than line breaks."""
    odd = next((c for c in text if c not in "\n\r\t" and unicodedata.category(c) in {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}), None)
    return None if odd is None else f"invisible or control character U+{ord(odd):04X}"


def odd_letter(text: str) -> str | None:
    """A letter of another script, or a mark that makes no accent."""
    odd = next((c for c in unicodedata.normalize("NFKC", text) if _is_odd(c)), None)
    return None if odd is None else f"letter or mark of another script U+{ord(odd):04X}"


def _is_odd(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] == "M" or (category[0] == "L" and ord(char) > _LAST_LETTER and char not in _MORE_LETTERS)


def code_in(text: str, brief: str) -> str | None:
    """What reads as encoded: long runs of letters and digits, words that mix both, letters that stand apart. What the brief writes may
    stand."""
    for pattern in (_BLOB, _APART):
        if (found := pattern.search(text)) and found[0] not in brief and not found[0].isalpha():
            return found[0].strip()
    mixed = (match[0] for match in _MIXED.finditer(text) if not re.fullmatch(_MEASURE, match[0], re.I))
    return next((word for word in mixed if word not in brief), None)


@lru_cache(maxsize=4096)
def readings(text: str) -> tuple[str, ...]:
    """A line as it stands and as it reads without accents, with digits for letters, backwards and in the alphabet turned by half."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.translate(_FOLDED)) if unicodedata.category(c) != "Mn")
    letters = (bare.translate(table) for table in _LETTERS_FOR)
    return tuple(dict.fromkeys((text, bare, *letters, bare[::-1], codecs.encode(bare, "rot13"))))


def foreign_to(text: str, own: Language) -> str | None:
    """The words that say that a line is in another language than its domain's; None where its own words are as many."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    mine = sum(word in _small_words(own) for word in words)
    for others in (*(_small_words(language) for language in SUPPORTED.values() if language is not own), frozenset(_OTHERS.split())):
        theirs = [word for word in words if word in others and word not in _small_words(own)]
        if len(theirs) >= FOREIGN_WORDS and len(theirs) > mine:
            return " ".join(theirs)
    return None


@cache
def _small_words(language: Language) -> frozenset[str]:
    return language.stop_words | language.common_words | language.advice.wording.conditions | language.advice.wording.never
