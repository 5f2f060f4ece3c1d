"""Export and import: the library as one canonical JSON-lines file with a content hash.

The first line is the header (format, domain, embedder, floor, count, hash), then one entry a line, sorted by id. Canonical JSON and no
clock, latency, cost or run id: equal libraries give equal bytes. Nothing is read in that does not hash to what the header says.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from strategist.errors import LibraryError
from strategist.library.library import ImportCounts, Library
from strategist.records.base import Record, canonical
from strategist.records.library import SERVABLE, Entry, Floor, Snapshot

FORMAT: Literal["strategist-library/1"] = "strategist-library/1"


class Header(Record):
    """First line of an export. `domain` names all domains of the entries, separated by commas; `hash` is over all else in the file."""

    format: Literal["strategist-library/1"] = FORMAT
    domain: str
    embedder: str
    floor: Floor | None
    count: int
    hash: str = ""


@dataclass(frozen=True)
class Imported:
    """What an import did; `notes` are lines for the user (a floor that does not fit here, entries that may not serve)."""

    counts: ImportCounts
    notes: tuple[str, ...]


def export_text(snapshot: Snapshot) -> str:
    """The file's text, ending in a line break."""
    entries = sorted(snapshot.entries, key=lambda entry: entry.id)
    domain = ",".join(sorted({entry.domain for entry in entries}))
    header = Header(domain=domain, embedder=snapshot.embedder, floor=snapshot.floor, count=len(entries))
    lines = [canonical(entry) for entry in entries]
    signed = header.model_copy(update={"hash": _hash(header, lines)})
    return "".join(f"{line}\n" for line in [canonical(signed), *lines])


def content_hash(text: str) -> str:
    """SHA-256 over the header without its hash and all entry lines. Raises LibraryError if there is no readable header."""
    header, lines = _split(text)
    return _hash(header, [line for _, line in lines])


def read_export(text: str) -> Snapshot:
    """The snapshot of an export. Raises LibraryError naming the line for anything that is not as it was written."""
    header, lines = _split(text)
    entries = tuple(_entry(number, line) for number, line in lines)
    if len(entries) != header.count:
        hint = "the file was cut or edited: export again"
        raise LibraryError(f"the header counts {header.count} entries, the file has {len(entries)}", hint=hint)
    found = content_hash(text)
    if found != header.hash:
        hint = "the file was changed after it was exported; edit entries in a library and export again"
        raise LibraryError(f"the content hash does not fit: the file hashes to {found[:16]}, its header says {header.hash[:16]}", hint=hint)
    return Snapshot(entries=entries, embedder=header.embedder, floor=header.floor)


def import_text(library: Library, text: str, actor: str, *, brief: str | None = None, language: str = "en") -> Imported:
    """Bring an export into a library (see `Library.bring`), all of it or nothing. The same file again changes nothing.

    The hash tells that a file is whole, not who wrote it. So with a `brief`, the policy of the domain that it is for, lines are held to the
    rules that an advisor's are, as `language` has them, and entries that break them come as proposed."""
    snapshot = read_export(text)
    faults = {} if brief is None else _faults(snapshot, brief, language)
    counts = library.bring(snapshot, actor=actor, reason=f"import of {content_hash(text)[:16]}", doubtful=faults)
    floor = [] if counts.floor_taken else ["the file's floor was not taken over: it belongs to another library or embedder"]
    return Imported(counts, (*floor, *(f"{name} may not serve as it stands: {why}" for name, why in faults.items())))


def _faults(snapshot: Snapshot, brief: str, language: str) -> dict[str, str]:
    """Entry that may reach customers by its status -> what lint says of its lines."""
    from strategist.library.lint import lint_candidate

    found = {
        entry.id: lint_candidate(entry.strategies, teacher_reply=None, customer_texts=(), brief=brief, language=language)
        for entry in snapshot.entries
        if entry.status in SERVABLE
    }
    return {name: "; ".join(fault.message for fault in faults) for name, faults in found.items() if faults}


def _split(text: str) -> tuple[Header, list[tuple[int, str]]]:
    """Header and numbered entry lines; blank lines and the line ends of other systems do not matter."""
    lines = [line.rstrip("\r") for line in text.split("\n")]
    return _header(lines[0]), [(number, line) for number, line in enumerate(lines[1:], start=2) if line.strip()]


def _header(line: str) -> Header:
    try:
        plain = json.loads(line)
        if isinstance(plain, dict) and str(plain.get("format", FORMAT)).startswith("strategist-library/") and plain.get("format") != FORMAT:
            raise LibraryError(
                f"line 1: the format is {plain['format']}, this program reads {FORMAT}", hint="use the version that wrote it"
            )
        return Header.model_validate(plain)
    except (json.JSONDecodeError, ValidationError):
        raise LibraryError(
            "line 1: not the header of a library export", hint="give a file written by `strategist library export`"
        ) from None


def _entry(number: int, line: str) -> Entry:
    try:
        return Entry.model_validate_json(line)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise LibraryError(f"line {number}: not an entry: {where + ': ' if where else ''}{fault['msg']}", hint="export again") from None


def _hash(header: Header, lines: list[str]) -> str:
    plain = canonical(header.model_copy(update={"hash": ""}))
    return hashlib.sha256("\n".join([plain, *lines]).encode("utf-8", "surrogatepass")).hexdigest()
