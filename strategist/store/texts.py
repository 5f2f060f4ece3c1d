"""Texts stand once, by hash, and bodies refer to them.

`fold` replaces every text of a JSON body that can hold a person's words by a reference `{"$text": hash}`; `unfold` puts them back. The walk
is generic: it knows field names, not records. Invariant: `unfold(as_text(fold(body))) == body` for every JSON body, also one that already
contains such references (they are escaped). A text that was erased since reads as `ERASED`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue
from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from strategist.errors import StoreError
from strategist.records.base import ERASED, Record, plain_json
from strategist.store import tables

TEXT_FIELDS = frozenset({"content", "customer", "reply", "reply_before", "reply_after", "reply_teacher", "text", "key", "arguments"})

_REF = "$text"
_REFERENCE = re.compile(r'\{"\$text":"([0-9a-f]{64})"\}')
_ESCAPED = '"$$'
CHUNK = 500
"""Names that one query asks for."""
_PUT = insert(tables.texts).on_conflict_do_nothing()


def text_hash(text: str) -> str:
    """SHA-256 of the UTF-8 text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def put_text(conn: Connection, text: str) -> str:
    """Store a text once; returns its hash."""
    return next(iter(put_texts(conn, [text])))


def put_texts(conn: Connection, new: Iterable[str]) -> dict[str, str]:
    """Store texts, each once; returns hash -> text."""
    by_hash = {text_hash(text): text for text in new}
    _put(conn, by_hash)
    return by_hash


def read_texts(conn: Connection, hashes: Iterable[str]) -> dict[str, str]:
    """Hash -> text for all hashes; erased ones read `ERASED`. Raises StoreError if one was never stored."""
    wanted = list(dict.fromkeys(hashes))
    found: dict[str, str] = {}
    for start in range(0, len(wanted), CHUNK):
        query = select(tables.texts.c.hash, tables.texts.c.text).where(tables.texts.c.hash.in_(wanted[start : start + CHUNK]))
        found |= {key: ERASED if text is None else text for key, text in conn.execute(query)}
    if missing := set(wanted) - found.keys():
        raise StoreError(f"{len(missing)} texts of the record are missing, the first is {min(missing)}", hint="restore a backup")
    return found


def fold(value: JsonValue, into: dict[str, str]) -> JsonValue:
    """The body with references in place of its texts; the texts are added to `into` by hash, to be stored in the same transaction."""
    if isinstance(value, dict):
        return {_escape(name, 1): _fold_field(name, item, into) for name, item in value.items()}
    if isinstance(value, list):
        return [fold(item, into) for item in value]
    return value


def as_text(folded: JsonValue) -> str:
    """The one JSON text of a folded body."""
    return plain_json(folded)


def references(body: str) -> list[str]:
    """The hashes that a folded body's text refers to. It needs not be parsed for that: inside a string of JSON the quotes of a look-alike
    are escaped, and a name that is not ours has one more `$`."""
    return _REFERENCE.findall(body)


def unfold(body: str, found: Mapping[str, str]) -> JsonValue:
    """The body as it was before `fold`, from its text; `found` maps every referenced hash to its text, which is not copied."""
    escaped = _ESCAPED in body

    def put_back(value: dict[str, JsonValue]) -> JsonValue:
        if isinstance(ref := value.get(_REF), str):
            return found[ref]
        return {_escape(name, -1): item for name, item in value.items()} if escaped else value

    whole: JsonValue = json.loads(body, object_hook=put_back)
    return whole


def write_body(conn: Connection, record: Record) -> str:
    """The folded JSON text of a record; its texts are stored on the way."""
    return write_bodies(conn, [record])[0]


def write_bodies(conn: Connection, records: Iterable[Record]) -> list[str]:
    """The folded JSON texts of records, in order; what many of them say is stored once."""
    new: dict[str, str] = {}
    bodies = [as_text(fold(record.model_dump(mode="json"), new)) for record in records]
    _put(conn, dict(sorted(new.items())))
    return bodies


def read_bodies(conn: Connection, bodies: Sequence[str]) -> list[JsonValue]:
    """The JSON values of folded texts, in order, with their texts in place: a text that many of them say is one string."""
    found = read_texts(conn, (ref for body in bodies for ref in references(body)))
    return [unfold(body, found) for body in bodies]


def _put(conn: Connection, by_hash: Mapping[str, str]) -> None:
    if by_hash:
        conn.execute(_PUT, [{"hash": key, "text": text} for key, text in by_hash.items()])


def _fold_field(name: str, value: JsonValue, into: dict[str, str]) -> JsonValue:
    if name in TEXT_FIELDS and isinstance(value, str) and value:
        hash_ = text_hash(value)
        into[hash_] = value
        return {_REF: hash_}
    return fold(value, into)


def _escape(name: str, step: int) -> str:
    """Names that end in our mark get one more `$` in front while stored, so that a body's own `$text` is no reference."""
    if name.lstrip("$") != "text" or not name.startswith("$"):
        return name
    return "$" + name if step > 0 else name[1:]
