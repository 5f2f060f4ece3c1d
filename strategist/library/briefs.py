"""The texts of briefs, kept once each under their hash, so that what a brief said when an entry was learned can be shown later.

Owns where they stand in the store. Knows nothing of what a change means (strategist.library.stale). Invariant: a text that is kept is
never changed, since its hash is its name.
"""

from __future__ import annotations

from collections.abc import Iterable

from strategist.domains.domain import Domain
from strategist.records.base import Record
from strategist.store import Store

RUN, KIND = "briefs", "brief"


class Brief(Record):
    """A brief as it was: the domain it belongs to, with its title, and its text."""

    domain: str
    title: str
    text: str


def keep_brief(store: Store, domain: Domain) -> None:
    """Keep the domain's brief, if it is not kept yet."""
    if kept_brief(store, domain.brief_hash) is None:
        brief = Brief(domain=domain.name, title=domain.title, text=domain.brief)
        store.put_document(RUN, KIND, domain.brief_hash, 0, 0, brief)


def kept_brief(store: Store, brief_hash: str) -> Brief | None:
    """The brief of this hash, or None where it was never kept: entries that came from elsewhere bring only the hash."""
    return store.get_document(RUN, KIND, brief_hash, Brief)


def kept_texts(store: Store, hashes: Iterable[str]) -> dict[str, str]:
    """Hash -> text of those that are kept."""
    found = {one: kept_brief(store, one) for one in set(hashes)}
    return {one: brief.text for one, brief in found.items() if brief is not None}
