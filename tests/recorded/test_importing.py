"""An import: splits by group, topics from train only, twice is once, and pass^k as it is defined."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategist.domains.pack import load_domain
from strategist.errors import StrategistError
from strategist.recorded.importing import Imported, import_conversations, pass_hats, splits_of
from strategist.recorded.reading import Conversation
from strategist.recorded.topics import topics
from strategist.records.chat import Message
from strategist.retrieval.embed import open_embedder
from strategist.settings import RetrievalSettings
from strategist.stats import pass_hat
from strategist.store import open_store
from tests.loop.recorded_pack import build_pack


def conversation(name: str, text: str = "Where is my parcel?", **changes: Any) -> Conversation:
    messages = (Message(role="user", content=text), Message(role="assistant", content="It is on its way."))
    plain = Conversation(name, messages, None, name, "", "", "", "", 1)
    return plain._replace(**changes)


def bring(folder: Path, conversations: list[Conversation], **options: Any) -> Imported:
    domain = load_domain(build_pack(folder / "pack"))
    embedder = open_embedder(RetrievalSettings(embedder="hashed"), "en").embedder
    with open_store(folder / "a.db") as store:
        return asyncio.run(import_conversations(store, domain, embedder, conversations, source="log", **options))


def test_twice_is_once_and_what_changed_is_replaced(tmp_path: Path) -> None:
    first = bring(tmp_path, [conversation("a"), conversation("b", reward=0.0)])
    again = bring(tmp_path, [conversation("a"), conversation("b", "Where do I pay?", reward=0.0)])
    assert ((first.new, first.changed), (again.new, again.changed)) == ((2, 0), (0, 1))
    with open_store(tmp_path / "a.db") as store:
        assert [t.messages[0].content for t in store.traces("recorded")] == ["Where is my parcel?", "Where do I pay?"]


def test_every_turn_gets_a_matter_unless_the_file_names_one(tmp_path: Path) -> None:
    told = bring(tmp_path, [conversation("a", issue="late"), conversation("b")])
    assert (told.traces[0].issue, told.traces[0].turns[0].issue) == ("late", "")
    assert told.traces[1].turns[0].issue == told.traces[1].issue != ""
    silent = bring(tmp_path / "x", [conversation("a", messages=(Message(role="assistant", content="hi"),))])
    assert (silent.traces[0].issue, silent.traces[0].turns) == ("recorded", ())


def test_a_customer_is_in_one_split() -> None:
    many = [conversation(f"{n}-{trial}", group=f"g{n}") for n in range(200) for trial in range(3)]
    found = splits_of(many, "log")
    shares = {split: found.count(split) / len(found) for split in ("train", "dev", "test")}
    assert 0.5 < shares["train"] < 0.7
    assert {(c.group, s) for c, s in zip(many, found, strict=True)} == set(zip([c.group for c in many[::3]], found[::3], strict=True))
    given = splits_of([c._replace(split="test" if c.group == "g1" else "train") for c in many], "log")
    assert {s for c, s in zip(many, given, strict=True) if c.group == "g1"} == {"test"}
    assert 0.1 < given.count("dev") / len(given) < 0.3
    assert set(splits_of([c._replace(split="dev") for c in many], "log")) == {"dev"}


def test_splits_that_cannot_be() -> None:
    with pytest.raises(StrategistError, match="the split is 'half'"):
        splits_of([conversation("a", split="half")], "log")
    both = [conversation("a", group="g", split="train", line=1), conversation("b", group="g", split="test", line=2)]
    with pytest.raises(StrategistError, match=r"line 2: 'g' is in test here and in (train|dev) in line 1"):
        splits_of(both, "log")


def test_topics_are_found_on_train_alone() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(4, dtype=np.float32)[[0, 1]]
    rows = np.repeat(centres, 20, axis=0) + rng.normal(0, 0.05, (40, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    keys = ["refund money please"] * 20 + ["parcel late today"] * 20
    groups = [f"g{n % 8}" for n in range(40)]
    train = [n % 2 == 0 for n in range(40)]
    found = topics(keys, rows, groups, train, "en")
    assert len(set(found)) == 2
    assert len(set(found[:20])) == len(set(found[20:])) == 1
    changed = rows.copy()
    changed[1] = -rows[1]
    assert [name for name, own in zip(topics(keys, changed, groups, train, "en"), train, strict=True) if own] == found[::2]
    assert topics(keys, rows, groups, [False] * 40, "en") == ["recorded"] * 40
    assert len(set(topics(keys[:1], rows[:1], groups[:1], [True], "en"))) == 1


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.lists(st.booleans(), min_size=n, max_size=n), st.integers(1, n))))
def test_pass_hat_is_the_share_of_draws_that_all_succeed(case: tuple[list[bool], int]) -> None:
    goals, k = case
    draws = list(itertools.combinations(goals, k))
    assert pass_hat(sum(goals), len(goals), k) == pytest.approx(sum(all(draw) for draw in draws) / len(draws))


def test_pass_hat_refuses_what_cannot_be() -> None:
    for case in ((3, 2, 1), (-1, 2, 1), (1, 2, 0), (1, 2, 3)):
        with pytest.raises(ValueError, match="pass"):
            pass_hat(*case)


def test_pass_k_counts_tasks(tmp_path: Path) -> None:
    rewards = {"g0": (1.0, 1.0), "g1": (1.0, 0.0), "g2": (0.0, 0.0, 0.0)}
    many = [conversation(f"{g}-{i}", group=g, reward=r) for g, own in rewards.items() for i, r in enumerate(own)]
    found = pass_hats(bring(tmp_path, many).traces)
    assert [(one.k, round(one.estimate.mean, 4), one.estimate.n) for one in found] == [(1, 0.5, 3), (2, 0.3333, 3)]
    assert pass_hats(bring(tmp_path / "one", many[:2]).traces) == []
