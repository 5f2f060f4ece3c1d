from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.agent import Agent, GuidanceSource
from strategist.errors import LibraryError
from strategist.evaluation.arms import Arm, FixedGuidance, RandomGuidance, draw_other_lines, make_arm, moment
from strategist.records.chat import Message, ModelRequest, Purpose, Reply
from strategist.records.library import Entry, Guidance, Strategy
from strategist.records.run import ArmName

TALK = (
    Message(role="system", content="brief"),
    Message(role="user", content="Where is my parcel?"),
)


class Recorder:
    """A chat that answers anything and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []

    @property
    def model_name(self) -> str:
        return "scripted:recorder"

    async def ask(self, request: ModelRequest, *, purpose: Purpose, sample: int = 0) -> Reply:
        self.requests.append(request)
        return Reply(text="Here it is.")


def student(chat: Recorder) -> Callable[[GuidanceSource | None], Agent]:
    """The student with a source of guidance."""
    return lambda source: Agent(chat, retriever=source)


class Found:
    """A library that always finds the same."""

    def __init__(self, guidance: Guidance) -> None:
        self.found = guidance

    async def guidance(self, messages: Sequence[Message]) -> Guidance:
        return self.found


def entry(name: str, *lines: str) -> Entry:
    texts = tuple(Strategy(text=line) for line in lines)
    return Entry(id=name, status="admitted", keys=(), strategies=texts, domain="d", brief_hash="b", student="s", advisor="a", round=0)


ENTRIES = (entry("e1", "one", "two"), entry("e2", "three"), entry("e3", "four", "five"), entry("e4", "one", "six"), entry("control"))
REAL = Guidance(lines=("one", "two"), entries=("e1@1",), reason="matched", score=0.9)


def sent(name: ArmName, source: GuidanceSource | None = None) -> tuple[str, Guidance]:
    chat = Recorder()
    arm = make_arm(name, student(chat), handbook=("h1", "h2"), retriever=source, entries=ENTRIES)
    reply = asyncio.run(arm.actor.reply(TALK, purpose="examine"))
    assert arm.role == "student"
    return chat.requests[0].messages[-1].content, reply.guidance


def test_the_bare_arm_changes_no_byte() -> None:
    text, guidance = sent("bare")
    assert text == TALK[-1].content
    assert guidance.lines == ()


def test_the_handbook_arm_places_every_line_without_a_cap() -> None:
    chat = Recorder()
    lines = tuple(f"Advice number {i} that takes some room in the prompt." for i in range(60))
    arm = make_arm("handbook", student(chat), handbook=lines)
    reply = asyncio.run(arm.actor.reply(TALK, purpose="examine"))
    assert all(line in chat.requests[0].messages[-1].content for line in lines)
    assert reply.guidance == Guidance(lines=lines, reason="fixed")


def test_the_library_arm_places_what_is_retrieved_and_the_random_arm_as_many_other_lines() -> None:
    text, guidance = sent("library", Found(REAL))
    assert guidance == REAL
    assert "one" in text
    _, other = sent("random", Found(REAL))
    assert len(other.lines) == 2
    assert not set(other.lines) & set(REAL.lines)
    assert "e1@1" not in other.entries
    assert other.reason == "fixed"


@pytest.mark.parametrize("reason", ["weak", "control", "empty"])
def test_the_random_arm_gives_nothing_where_the_library_gives_nothing(reason: str) -> None:
    nothing = Guidance.model_validate({"reason": reason})
    source = RandomGuidance(Found(nothing), ENTRIES)
    assert asyncio.run(source.guidance(TALK)) == nothing


def test_random_lines_are_the_same_within_a_tool_loop_and_differ_between_moments_and_seeds() -> None:
    loop = (*TALK, Message(role="assistant", content="", tool_calls=()), Message(role="tool", content="x", tool_call_id="1"))
    assert moment(loop) == moment(TALK)
    drawn = [draw_other_lines(ENTRIES, REAL, seed=seed, text=text) for seed in range(6) for text in ("a", "b")]
    assert drawn == [draw_other_lines(ENTRIES[::-1], REAL, seed=seed, text=text) for seed in range(6) for text in ("a", "b")]
    assert len(set(drawn)) > 2
    assert len({draw_other_lines(ENTRIES, REAL, seed=0, text=str(i)) for i in range(20)}) > 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(ENTRIES), unique_by=lambda e: e.id), st.integers(0, 9), st.integers(1, 4))
def test_random_lines_are_at_most_as_many_and_never_the_real_ones(entries: list[Entry], seed: int, wanted: int) -> None:
    real = Guidance(lines=("one", "two", "x", "y")[:wanted], entries=("e1",), reason="matched")
    refs, lines = draw_other_lines(entries, real, seed=seed, text="t")
    available = {s.text for e in entries if e.id != "e1" for s in e.strategies} - set(real.lines)
    assert len(lines) == len(set(lines)) == min(wanted, len(available))
    assert set(lines) <= available
    assert {ref.partition("@")[0] for ref in refs} <= {e.id for e in entries} - {"e1"}


def test_an_arm_that_lacks_a_part_says_which() -> None:
    bare = student(Recorder())
    with pytest.raises(LibraryError, match="arm random needs a library"):
        make_arm("random", bare)
    with pytest.raises(LibraryError, match="teacher that can act"):
        make_arm("teacher", bare)
    teacher = Agent(Recorder())
    assert make_arm("teacher", bare, teacher=teacher) == Arm("teacher", teacher, "teacher")


def test_fixed_guidance_does_not_look_at_the_conversation() -> None:
    source = FixedGuidance(("a",))
    assert asyncio.run(source.guidance(())) == asyncio.run(source.guidance(TALK)) == Guidance(lines=("a",), reason="fixed")
