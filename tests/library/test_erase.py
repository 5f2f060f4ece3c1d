"""Erasing from the library: all versions lose the person's texts, and the log leads on."""

from __future__ import annotations

from pathlib import Path

from evals.library_checks import broken_chains
from strategist.library.erase import erase_entries
from strategist.library.library import Library
from strategist.records.base import ERASED
from strategist.records.library import Strategy
from strategist.store import open_store
from strategist.store.erasure import Eraser
from tests.loop.made import entry, key


def test_all_versions_lose_the_keys_and_the_newest_goes_on_without_them(tmp_path: Path) -> None:
    mine, other, late = (key(name).model_copy(update={"scenario": f"{name}.0"}) for name in ("mine", "other", "late"))
    with open_store(tmp_path / "a.db") as store:
        library = Library(store)
        library.add([entry("e1", "Say this.", keys=(mine, other)), entry("e2", keys=(other,))], actor="t", reason="r", marker="m")
        library.widen("e1", [late], actor="t", reason="r")
        version, eraser = library.version(), Eraser({"mine"})
        (lost,) = erase_entries(store, library, eraser.erased, eraser.owns, actor="t", reason="erased")
        assert (lost.entry.ref, lost.keys, lost.entry.keys) == ("e1@3", 1, (other, late))
        assert [k.text for version_ in (1, 2) for k in library.get("e1", version_).keys] == [ERASED, "other", ERASED, "other", "late"]
        assert library.get("e1").strategies == (Strategy(text="Say this."),)
        assert library.get("e2").version == 1
        assert library.version() == version + 1
        assert [event.action for event in library.events("e1")] == ["add", "widen", "purge"]
        assert broken_chains(library.events(), {e.id: e for e in library.entries()}) == []
        assert erase_entries(store, library, eraser.erased, eraser.owns, actor="t", reason="erased") == ()
        assert library.version() == version + 1
