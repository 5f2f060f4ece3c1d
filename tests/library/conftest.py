from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from strategist.library.library import Library
from strategist.records.evidence import Evidence, Pair
from strategist.records.library import Entry, Key, Status, Strategy
from strategist.store import Store, open_store


class NewEntry(Protocol):
    def __call__(self, name: str, line: str = ..., *, status: Status = ..., tested: bool = ...) -> Entry: ...


PAIR = Pair(scenario="s1", persona="train-1-0", stage=2, score=0.5, result="win", uplift=0.5, baseline_hard=0, guided_hard=0)


def _new_entry(name: str, line: str = "Ask first.", *, status: Status = "admitted", tested: bool = True) -> Entry:
    return Entry(
        id=name,
        status=status,
        keys=(Key(scenario=f"{name}-s", persona="train-0-0", issue="late", text=f"key of {name}"),),
        strategies=(Strategy(text=line, rules=("R1",)),),
        domain="parcel",
        brief_hash="b",
        student="s",
        advisor="a",
        round=0,
        reply_before="before",
        reply_after="after",
        evidence=Evidence(decision="admitted", pairs=(PAIR,), wins=1, p=0.5, q=0.5) if tested else None,
    )


@pytest.fixture(scope="session")
def new_entry() -> NewEntry:
    return _new_entry


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "library.db") as opened:
        yield opened


@pytest.fixture
def library(store: Store) -> Library:
    return Library(store)
