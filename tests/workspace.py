"""Searching a folder's files raw, as who looks for a leak would."""

from __future__ import annotations

import json
from pathlib import Path


def files_holding(folder: Path, text: str) -> list[str]:
    """Files that hold a text as bytes: plain, or escaped as JSON does."""
    forms = {text.encode(), json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode()}
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(form in path.read_bytes() for form in forms)
    ]
