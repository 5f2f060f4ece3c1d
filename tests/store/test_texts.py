"""Folding texts out of bodies and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue
from sqlalchemy import update

from strategist.errors import StoreError
from strategist.records.base import ERASED
from strategist.store import open_store, put_text
from strategist.store.texts import TEXT_FIELDS, as_text, fold, references, text_hash, unfold

_NAMES = st.sampled_from([*sorted(TEXT_FIELDS), "$text", "$$text", "$", "role", "$textual"])
_BODIES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just('{"$text":"' + "0" * 64 + '"}'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(_BODIES)
def test_unfold_undoes_fold_for_every_body(body: JsonValue) -> None:
    by_hash: dict[str, str] = {}
    folded = as_text(fold(body, by_hash))
    assert all(text_hash(text) == name for name, text in by_hash.items())
    assert set(references(folded)) == by_hash.keys()
    assert unfold(folded, by_hash) == body


def test_no_text_of_a_message_stays_in_the_folded_body() -> None:
    into: dict[str, str] = {}
    folded = fold(
        {"messages": [{"role": "user", "content": "my secret"}], "turns": [{"customer": "hello", "reply": "hi", "index": 1}]}, into
    )
    assert set(into.values()) == {"my secret", "hello", "hi"}
    assert "secret" not in str(folded)
    assert '"user"' in str(folded).replace("'", '"')


def test_texts_stand_once_and_an_erased_one_reads_as_erased(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db") as store:
        with store.transaction() as conn:
            first, second = put_text(conn, "same"), put_text(conn, "same")
            other = put_text(conn, "naïve 漢字")
        assert first == second
        assert store.get_texts([first, other, first]) == {first: "same", other: "naïve 漢字"}
        with store.transaction() as conn:
            conn.execute(update(store.tables.texts).where(store.tables.texts.c.hash == first).values(text=None))
        assert store.get_texts([first]) == {first: ERASED}
        with pytest.raises(StoreError, match="1 texts of the record are missing"):
            store.get_texts([first, "0" * 64])


def test_more_texts_than_fit_into_one_query(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db") as store:
        with store.transaction() as conn:
            hashes = [put_text(conn, str(i)) for i in range(1201)]
        assert list(store.get_texts(hashes).values()).count("7") == 1
        assert len(store.get_texts(hashes)) == 1201
