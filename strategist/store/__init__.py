"""The database: the truth. `open_store` gives a Store; `CallLog(store)` is the ledger and cache of model calls."""

from strategist.store.calls import Answer, CallLog, Spent
from strategist.store.store import Store, append_event, bump_library_version, meta_get, meta_set, open_store
from strategist.store.texts import put_text

__all__ = [
    "Answer",
    "CallLog",
    "Spent",
    "Store",
    "append_event",
    "bump_library_version",
    "meta_get",
    "meta_set",
    "open_store",
    "put_text",
]
