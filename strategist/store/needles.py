"""Many texts looked for in many others, at once. Pure.

Only long texts are looked for: a short one stands inside others by chance. Many are told apart by their first letters, so that a text is
read once whatever their number; a few are looked for one by one, which is faster.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable

LONG = 12
"""Characters from which a text is looked for inside others."""
FEW = 100


class Needles:
    """Lines of these texts, each of `LONG` characters and more."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._all = {line.strip() for text in texts for line in text.splitlines() if len(line.strip()) >= LONG}
        self._index()

    def __bool__(self) -> bool:
        return bool(self._all)

    @property
    def all(self) -> frozenset[str]:
        """What is looked for."""
        return frozenset(self._all)

    def stand_in(self, text: str) -> bool:
        """Whether one of them stands in a text."""
        if len(self._all) <= FEW:
            return any(needle in text for needle in self._all)
        return bool(self._found(text))

    def drop_those_in(self, text: str) -> None:
        """Look no longer for what stands in this text."""
        found = {needle for needle in self._all if needle in text} if len(self._all) <= FEW else self._found(text)
        if found:
            self._all -= found
            self._index()

    def _index(self) -> None:
        self._starts: dict[str, list[str]] = {}
        for needle in self._all:
            self._starts.setdefault(needle[:LONG], []).append(needle)

    def _found(self, text: str) -> set[str]:
        starts = (self._starts.get(text[i : i + LONG], ()) for i in range(len(text) - LONG + 1))
        return {needle for i, some in enumerate(starts) for needle in some if text.startswith(needle, i)}


def written(text: str) -> frozenset[bytes]:
    """The bytes that a text can stand as in a file: plain, inside JSON with and without escapes, inside HTML."""
    forms = {
        text,
        html.escape(text),
        html.escape(text, quote=False),
        html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    }
    forms |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    return frozenset(form.encode("utf-8", "surrogatepass") for form in forms)
