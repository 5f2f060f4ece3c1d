"""What of a record's body is a person's: found by the record's own ids, and taken out of it. Pure: no database.

Knows the fields of records that name a trace (`trace`, `scenario`, the trace itself), that hold texts, and that hold free words beside
them. What is a person's is replaced by `ERASED` where it stands, so that records read on, and counts, verdicts and decisions stay. Strategy
lines stay, unless nobody looked at them: lines that were refused for their wording, or only tried, may quote a customer. System messages
stay.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Set
from typing import cast

from pydantic import JsonValue

from strategist.records.base import ERASED, JsonObject, plain_json
from strategist.store.texts import references, text_hash

FREE = frozenset({"why", "keep", "detail", "message"})
"""Fields of free words that stand in bodies themselves: what a teacher or a check says of a reply, why something failed."""
STATES = frozenset({"state", "state_before", "state_after"})
REPLIES = ("reply_before", "reply_after", "reply_teacher")
SAID = frozenset({"customer", "key", "text"})
"""Fields that hold what a person said, beside the content of their messages."""


class Eraser:
    """Takes what belongs to these traces out of bodies. `gone` are the hashes of the texts that were taken out, `said` those of them that
    are the person's own words, masked or not."""

    def __init__(self, traces: Collection[str]) -> None:
        self.traces = frozenset(traces)
        self.gone: set[str] = set()
        self.said: set[str] = set()
        self._mine: set[str] = set()
        self._others: set[str] = set()
        self._refused: set[str] = set()
        self._fit: frozenset[str] | None = None

    def owns(self, scenario: str) -> bool:
        """Whether a scenario was cut from one of the traces."""
        return scenario.rpartition(".")[0] in self.traces

    def learn(self, body: str) -> None:
        """Look at what coaching left behind for one state, before any body is erased: whose replies candidates and entries show."""
        one = json.loads(body)
        (self._mine if self.owns(one["scenario"]) else self._others).update(references(body))
        refusal = one.get("refusal")
        if refusal and self.owns(one["scenario"]) and refusal["stage"] == "lint":
            self._refused.add(refusal["candidate"])

    def erased(self, body: str) -> str:
        """The body without what is the traces'; the same text if nothing is."""
        value = json.loads(body)
        if self._is_refused(value):
            self._fit = frozenset()
            new = {**self._object(value, mine=True), "reason": ERASED}
        elif "attempts" in value:
            new = self._coached(value)
        else:
            new = self._object(value, mine=False)
        self._fit = None
        return body if new == value else plain_json(new)

    def _is_refused(self, value: JsonObject) -> bool:
        return value.get("stage") == "lint" and value.get("candidate") in self._refused

    def _coached(self, value: JsonObject) -> JsonObject:
        """Of the lines only those stay that passed lint, and those that came from the library."""
        candidate, refusal = (cast(JsonObject, value[name] or {}) for name in ("candidate", "refusal"))
        lint = refusal.get("stage") == "lint"
        fit = [candidate.get("strategies"), None if lint else refusal.get("strategies")]
        self._fit = frozenset(references(plain_json(fit)))
        new = self._object(value, mine=False)
        if lint and self.owns(str(value["scenario"])):
            new["refusal"] = {**cast(JsonObject, new["refusal"]), "reason": ERASED}
        return new

    def _object(self, value: JsonObject, *, mine: bool) -> JsonObject:
        mine = mine or self._belongs(value)
        theirs = mine or self._shows_their_replies(value)
        new = {name: self._field(name, item, value, theirs if name in (*REPLIES, "why") else mine) for name, item in value.items()}
        if mine and "attempts" in value:
            attempts = cast(list[JsonObject], new["attempts"])
            new["attempts"] = [first if i == 0 else self._fitting(first) for i, first in enumerate(attempts)]
        return new

    def _belongs(self, value: JsonObject) -> bool:
        is_trace = "turns" in value and value.get("id") in self.traces
        return is_trace or value.get("trace") in self.traces or self.owns(str(value.get("scenario", "")))

    def _shows_their_replies(self, value: JsonObject) -> bool:
        """Whether a candidate or entry shows replies to this person: those that coaching on them left behind; where that is not known
        (an entry that came from elsewhere), those of an entry that is found by their words."""
        keys = value.get("keys")
        if not isinstance(keys, list) or "reply_before" not in value:
            return False
        shown = set(references(plain_json([value[name] for name in REPLIES])))
        if shown & self._others:  # a reply that suits many tells nothing
            return bool(shown & (self._mine - self._others))
        own = any(isinstance(key, dict) and self.owns(str(key.get("scenario"))) for key in keys)
        return own or bool(shown & self._mine)

    def _fitting(self, attempt: JsonObject) -> JsonObject:
        lines = cast(list[str], attempt["lines"])
        return {**attempt, "lines": [line if text_hash(line) in (self._fit or ()) else ERASED for line in lines]}

    def _field(self, name: str, value: JsonValue, record: JsonObject, mine: bool) -> JsonValue:
        advice = name == "strategies" and (self._fit is None or not mine)
        if advice or (name == "content" and record.get("role") == "system"):
            return value
        if mine and name == "customer" and "turns" in record:
            return ""  # whose the trace is, not what was said
        if mine and isinstance(value, str):
            return _without_words(name, value)
        if mine and name in STATES:
            return {}
        said = name in SAID or (name == "content" and record.get("role") == "user")
        return self._value(value, mine, said=said)

    def _value(self, value: JsonValue, mine: bool, *, said: bool = False) -> JsonValue:
        if isinstance(value, list):
            return [self._value(item, mine) for item in value]
        if not isinstance(value, dict):
            return value
        ref = value.get("$text")
        if not isinstance(ref, str):
            return self._object(value, mine=mine)
        if not mine or ref in (self._fit or ()):
            return value
        self.gone.add(ref)
        if said:
            self.said.add(ref)
        return ERASED


def without_texts(body: str) -> str:
    """A folded body of a call without its texts; system messages stay."""
    return plain_json(_bare(json.loads(body)))


def spoken(body: str) -> tuple[Set[str], Set[str]]:
    """The hashes that a folded body refers to: in system messages, and elsewhere."""
    value = json.loads(body)
    messages = value.get("messages", [])
    system = {ref for message in messages if message["role"] == "system" for ref in references(plain_json(message))}
    return system, set(references(body)) - system


def scrubbed(body: str, holds: Collection[str]) -> str:
    """A body in which free words that hold one of these texts are erased: a failure may quote what somebody said."""
    return plain_json(_scrub(json.loads(body), holds))


def _scrub(value: JsonValue, holds: Collection[str]) -> JsonValue:
    if isinstance(value, list):
        return [_scrub(item, holds) for item in value]
    if not isinstance(value, dict):
        return value
    free = FREE | ({"reason"} if "stage" in value else set())
    out: JsonObject = {}
    for name, item in value.items():
        hit = isinstance(item, str) and any(text in item for text in holds)
        if hit and name == "failure":
            out[name] = _kind_only(str(item))
        else:
            out[name] = ERASED if hit and name in free else _scrub(item, holds)
    return out


def _bare(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if not isinstance(value, dict) or value.get("role") == "system":
        return value
    return ERASED if isinstance(value.get("$text"), str) else {name: _bare(item) for name, item in value.items()}


def _without_words(name: str, value: str) -> str:
    """A plain string of a person's record: names and words of ours stay."""
    if name in FREE and value:
        return ERASED
    return _kind_only(value) if name == "failure" else value


def _kind_only(failure: str) -> str:
    kind, colon, _ = failure.partition(":")
    return f"{kind}: {ERASED}" if colon else failure
