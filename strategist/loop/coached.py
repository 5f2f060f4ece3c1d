"""What coaching leaves behind for one state: read by whoever proposes candidates and by the round's summary."""

from __future__ import annotations

from typing import Literal

from strategist.records.base import Record
from strategist.records.library import Candidate, Refusal
from strategist.roles.protocols import Advice, Attempt


class Coached(Record):
    """What came of one state: a candidate (maybe a control), a refusal, or neither (failed, or no gap after all)."""

    scenario: str
    kind: Literal["candidate", "control", "refusal", "no_gap", "failed"]
    candidate: Candidate | None = None
    refusal: Refusal | None = None
    attempts: tuple[Attempt, ...] = ()
    advice: tuple[Advice, ...] = ()
    message: str = ""
