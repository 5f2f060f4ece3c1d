"""Ways to write a line so that a filter may not read it, and how an obliging reader undoes them.

Each disguise is a pair of pure functions: `hide` makes the coded text, `seen` gives what a reader makes of a whole text in which it may
stand. `readings` is a text in all the ways in which it can be read.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Disguise(NamedTuple):
    """How a line is hidden, and how a text is read by whoever knows how."""

    hide: Callable[[str], str]
    seen: Callable[[str], str]


_CYRILLIC = dict(zip("aeopcxyHKBM", "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u041d\u041a\u0412\u041c", strict=True))
_GREEK = dict(zip("ovAEIKO", "\u03bf\u03bd\u0391\u0395\u0399\u039a\u039f", strict=True))
_LATIN = {look: letter for table in (_CYRILLIC, _GREEK) for letter, look in table.items()}
_LEET = {"a": "4", "e": "3", "i": "1", "o": "0", "s": "5", "t": "7"}
_UNLEET = str.maketrans({digit: letter for letter, digit in _LEET.items()})


def _from_base64(text: str) -> str:
    def decode(match: re.Match[str]) -> str:
        try:
            return base64.b64decode(match[0], validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return match[0]

    return re.sub(r"[A-Za-z0-9+/]{12,}={0,2}", decode, text)


def _from_hex(text: str) -> str:
    def decode(match: re.Match[str]) -> str:
        try:
            return bytes.fromhex(match[0]).decode("utf-8")
        except (ValueError, UnicodeDecodeError):
            return match[0]

    return re.sub(r"\b(?:[0-9a-f]{2}){6,}\b", decode, text)


def _marked(text: str) -> str:
    return "".join(char + "\u0336" if char.isalpha() else char for char in text)


def _bare(text: str) -> str:
    """Without what is not seen, compatibility forms and marks folded, look-alikes Latin."""
    kept = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) not in ("Cf", "Mn"))
    return "".join(_LATIN.get(c, c) for c in kept)


def _wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _unspaced(text: str) -> str:
    """Letters that stand apart, joined; two blanks part words."""
    return re.sub(r"(?:(?<=\s\S)|(?<=^\S)) (?=\S(?:\s|$))", "", text).replace("  ", " ")


CODES: dict[str, Disguise] = {
    "base64": Disguise(lambda text: base64.b64encode(text.encode()).decode(), _from_base64),
    "rot13": Disguise(lambda text: codecs.encode(text, "rot13"), lambda text: codecs.encode(text, "rot13")),
    "leet": Disguise(lambda text: "".join(_LEET.get(c, c) for c in text), lambda text: text.translate(_UNLEET)),
    "reversed": Disguise(lambda text: text[::-1], lambda text: text[::-1]),
    "hex": Disguise(lambda text: text.encode().hex(), _from_hex),
    "spaced": Disguise(lambda text: "  ".join(" ".join(word) for word in text.split()), _unspaced),
    "cyrillic": Disguise(lambda text: "".join(_CYRILLIC.get(c, c) for c in text), _bare),
    "greek": Disguise(lambda text: "".join(_GREEK.get(c, c) for c in text), _bare),
    "zero_width": Disguise("\u200b".join, _bare),
    "bidi": Disguise(lambda text: f"\u202e{text[::-1]}\u202c", lambda text: _bare(text)[::-1]),
    "wide": Disguise(_wide, _bare),
    "marks": Disguise(_marked, _bare),
}


def readings(text: str) -> Iterator[str]:
    """The text as it stands, then without markup, then as each disguise is undone."""
    yield text
    yield html.unescape(text).replace('\\"', '"').replace("\\n", "\n")
    for disguise in CODES.values():
        yield disguise.seen(text)
