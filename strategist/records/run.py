"""What a run leaves behind besides traces and entries: outcomes per arm and persona, and one summary per round.

Reports are made of these.
"""

from __future__ import annotations

from typing import Literal

from strategist.records.base import Record
from strategist.records.chat import Usage
from strategist.records.library import Floor

StopReason = Literal["rounds", "parity", "no_progress", "nothing_to_teach", "budget", "interrupted", "server", "erased"]
StudyArm = Literal["bare", "handbook", "random", "library", "teacher"]
TransferArm = Literal["bare", "transferred", "whole", "own"]
"""Arms of a transfer: what of another library crosses, all of it, and the library that was taught here."""
ArmName = Literal[StudyArm, TransferArm]


class CheckCount(Record):
    """How often a check passed among the times it applied."""

    check: str
    hard: bool
    passed: int
    total: int


class ArmOutcome(Record):
    """One conversation of one arm. `score` None: the conversation failed (see `failure`) and is left out, never counted as 0."""

    arm: ArmName
    persona: str
    issue: str
    seed: int
    score: float | None
    goal: bool
    hard_failures: int
    agent_turns: int
    guided_turns: int = 0
    checks: tuple[CheckCount, ...] = ()
    failure: str | None = None
    trace: str = ""


class RoundSummary(Record):
    """What one round did. Written by the examine node, read by reports and by the stop rule. `failed_states`: coaching them failed, so
    whether they had a gap is not known."""

    round: int
    conversations: int
    failed_conversations: int
    scenarios: int
    gaps: int
    failed_states: int = 0
    candidates: int
    refused: int
    admitted: int
    entries: int
    snapshot_before: str
    snapshot_after: str
    floor: Floor | None = None
    outcomes: tuple[ArmOutcome, ...] = ()


class RoleCost(Record):
    """Calls and usage of one role for one purpose, from the call log. `cached` answers cost nothing again."""

    role: str
    purpose: str
    calls: int
    failed: int
    retries: int
    usage: Usage


class Overrun(Record):
    """What servers billed beyond the upper bounds of calls, added up; money in US dollars."""

    tokens: int = 0
    usd: float = 0.0

    def __add__(self, other: Overrun) -> Overrun:
        return Overrun(tokens=self.tokens + other.tokens, usd=self.usd + other.usd)


class RunInfo(Record):
    """A teach run. `learning_hash` covers settings; with `pack_hash`, `prompts`, `code`, seed and the call log it decides the library.

    `prompts` is the hash of all prompt files; empty in records of runs that were begun before it was noted."""

    id: str
    domain: str
    pack_hash: str
    brief_hash: str
    learning_hash: str
    code: str
    prompts: str = ""
    seed: int
    student: str
    advisor: str
    embedder: str
    rounds: int
    stop: StopReason | None = None
