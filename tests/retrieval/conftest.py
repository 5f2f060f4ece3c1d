from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from strategist.records.library import Entry, Key, Scope, Status, Strategy


class MakeEntry(Protocol):
    def __call__(
        self, name: str, keys: Sequence[str], lines: Sequence[str] = ..., *, status: Status = ..., scope: Scope = ..., version: int = ...
    ) -> Entry: ...


def _make_entry(
    name: str,
    keys: Sequence[str],
    lines: Sequence[str] = ("Ask first.",),
    *,
    status: Status = "admitted",
    scope: Scope = "specific",
    version: int = 1,
) -> Entry:
    return Entry(
        id=name,
        version=version,
        status=status,
        keys=tuple(Key(scenario=f"{name}-{i}", persona=f"train-{i}-0", issue="late", text=text) for i, text in enumerate(keys)),
        strategies=tuple(Strategy(text=line) for line in lines),
        scope=scope,
        domain="parcel",
        brief_hash="b",
        student="s",
        advisor="a",
        round=0,
    )


@pytest.fixture(scope="session")
def make_entry() -> MakeEntry:
    return _make_entry
