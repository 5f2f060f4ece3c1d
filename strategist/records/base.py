"""What every record shares: frozen pydantic models with one canonical text and one hash.

Canonical JSON (sorted keys, no spaces, UTF-8, no NaN) is what hashes, exports and call keys are made of, so equal records have equal
hashes on every machine. Nothing here knows a database, a model or a clock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

JsonObject = dict[str, JsonValue]

ERASED = "[erased]"
"""What a text reads that was erased since."""


class Record(BaseModel):
    """Base of all records: frozen, no unknown fields, every default validated."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, ser_json_inf_nan="constants")


def canonical(value: object) -> str:
    """Return the one JSON text of a record or JSON value: keys sorted, no spaces. Raises ValueError for NaN and infinities."""
    return plain_json(_plain(value))


def digest(value: object, length: int = 64) -> str:
    """SHA-256 of `canonical(value)` in hex, cut to `length` characters."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


def stable_int(*parts: str | int) -> int:
    """A number in [0, 2**48) made of the parts: the same on every machine, in every process. Used for sample numbers and seeds."""
    text = ",".join([encode_basestring(part) if isinstance(part, str) else json.dumps(part) for part in parts])
    return int(hashlib.sha256(f"[{text}]".encode()).hexdigest()[:12], 16)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
"""Made once: `json.dumps` with any option makes one for every call."""


def plain_json(value: JsonValue) -> str:
    """`canonical` of what holds no record any more."""
    return _ENCODER.encode(value)


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    return value
