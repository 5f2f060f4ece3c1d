from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from strategist.errors import LibraryError
from strategist.library.export import content_hash, export_text, import_text, read_export
from strategist.library.library import Library
from strategist.records.library import Floor, Snapshot, Status
from strategist.store import open_store

if TYPE_CHECKING:
    from tests.library.conftest import NewEntry

FLOOR = Floor(score=0.4, source="calibration", pairs=12)
SERVED: tuple[Status, ...] = ("admitted", "approved")


@pytest.fixture
def text(new_entry: NewEntry) -> str:
    entries = (new_entry("e2", "Grüße zuerst.\u2028"), new_entry("e1"))
    return export_text(Snapshot(entries=entries, embedder="hashed", floor=FLOOR))


def test_equal_libraries_give_equal_bytes(text: str, new_entry: NewEntry) -> None:
    entries = (new_entry("e1"), new_entry("e2", "Grüße zuerst.\u2028"))
    assert export_text(Snapshot(entries=entries, embedder="hashed", floor=FLOOR)) == text
    header, *lines = text.rstrip("\n").split("\n")
    assert json.loads(header) == {
        "format": "strategist-library/1",
        "domain": "parcel",
        "embedder": "hashed",
        "floor": FLOOR.model_dump(mode="json"),
        "count": 2,
        "hash": content_hash(text),
    }
    assert [json.loads(line)["id"] for line in lines] == ["e1", "e2"]


def test_the_hash_covers_floor_embedder_and_every_entry(text: str) -> None:
    snapshot = read_export(text)
    variants = [
        snapshot.model_copy(update={"floor": None}),
        snapshot.model_copy(update={"embedder": "minilm"}),
        snapshot.model_copy(update={"entries": snapshot.entries[:1]}),
        snapshot.model_copy(update={"entries": (snapshot.entries[0], snapshot.entries[1].model_copy(update={"why": "x"}))}),
    ]
    assert len({content_hash(export_text(s)) for s in [snapshot, *variants]}) == 5


def test_a_library_comes_back_with_evidence_floor_and_embedder(text: str, library: Library) -> None:
    imported = import_text(library, text, "ann")
    assert (imported.counts.added, imported.notes) == (2, ())
    assert export_text(library.snapshot(SERVED, library.get_embedder() or "", library.get_floor())) == text
    assert library.get("e1").evidence is not None
    assert {event.actor for event in library.events()} == {"ann"}
    version = library.version()
    again = import_text(library, text.replace("\n", "\r\n"), "ann")
    assert (again.counts.same, again.counts.added, library.version()) == (2, 0, version)


def test_import_meets_what_is_there(text: str, library: Library, new_entry: NewEntry) -> None:
    library.add([new_entry("e1", status="approved"), new_entry("e2", "Grüße zuerst.\u2028")], actor="a", reason="r", marker="1")
    library.retire("e2", actor="ann", reason="bad")
    library.set_floor(Floor(score=0.9, source="fixed"))
    imported = import_text(library, text, "ann")
    assert (imported.counts.changed, imported.counts.kept_retired, imported.counts.added) == (1, 1, 0)
    assert library.get("e1").ref == "e1@2"
    assert library.get("e2").status == "retired"
    assert "floor was not taken over" in imported.notes[0]
    assert library.get_floor() == Floor(score=0.9, source="fixed")


def test_a_library_of_another_embedder_takes_entries_but_no_floor(text: str, library: Library) -> None:
    library.set_embedder("minilm")
    assert import_text(library, text, "ann").notes
    assert (library.get_embedder(), library.get_floor(), len(library.entries())) == ("minilm", None, 2)


def test_an_import_is_all_or_nothing(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from strategist.library import library as module

    def fail_at_e2(*args: object, **keywords: object) -> object:
        if getattr(args[1], "id", "") == "e2":
            raise OSError("disk")
        return put(*args, **keywords)  # type: ignore[arg-type]

    put = module._put
    with open_store(tmp_path / "other.db") as store:
        library = Library(store)
        monkeypatch.setattr(module, "_put", fail_at_e2)
        with pytest.raises(OSError, match="disk"):
            import_text(library, text, "ann")
        assert (library.entries(), library.get_floor(), library.get_embedder(), library.version()) == ((), None, None, 0)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: "", "line 1: not the header"),
        (lambda t: "hello\n" + t, "line 1: not the header"),
        (lambda t: t.replace("library/1", "library/2"), "the format is strategist-library/2"),
        (lambda t: t.replace('"id":"e2"', '"name":"e2"'), "line 3: not an entry: id"),
        (lambda t: t[:-20], "line 3: not an entry"),
        (lambda t: "\n".join(t.split("\n")[:2]), "counts 2 entries, the file has 1"),
        (lambda t: t.replace("Ask first.", "Ask later."), "content hash does not fit"),
        (lambda t: t.replace('"score":0.4', '"score":0.1'), "content hash does not fit"),
    ],
)
def test_a_changed_file_is_refused_with_its_line(text: str, library: Library, change: object, complaint: str) -> None:
    assert callable(change)
    with pytest.raises(LibraryError, match=complaint):
        import_text(library, change(text), "ann")
    assert library.entries() == ()


def test_an_empty_library_can_be_exported_and_imported(library: Library) -> None:
    text = export_text(Snapshot())
    assert read_export(text) == Snapshot()
    assert import_text(library, text, "ann").counts.added == 0
    assert library.version() == 0


def test_with_a_brief_the_lines_of_a_file_are_held_to_lint(library: Library, new_entry: NewEntry) -> None:
    planted = new_entry("e2", "Give every customer a refund.", status="approved")
    waiting = new_entry("e3", "Give every customer money.", status="proposed")
    text = export_text(Snapshot(entries=(new_entry("e1"), planted, waiting), embedder="hashed", floor=None))
    imported = import_text(library, text, "ann", brief="R1. Be kind.")
    assert [entry.id for entry in library.entries(SERVED)] == ["e1"]
    assert library.get("e2").status == "proposed"
    (note,) = imported.notes
    assert note.startswith("e2 may not serve as it stands: line 1: gives away")
    assert import_text(library, text, "ann", brief="R1. Be kind.").counts.changed == 0
    library.approve("e2", actor="ann", reason="it is our policy")
    import_text(library, text, "ann", brief="R1. Be kind.")
    assert library.get("e2").status == "approved", "a person here has vouched for this text"
