"""Erasing from the database: what is the person's goes, what anybody else has stays, and no call is answered with what was erased."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from strategist.errors import StoreError
from strategist.loop.coached import Coached
from strategist.records.base import ERASED
from strategist.records.chat import Message, ModelRequest, Purpose, Reply, Usage
from strategist.records.evidence import Comparison, Evidence, Judged, Pair
from strategist.records.library import Candidate, Guidance, Key, Refusal, Strategy
from strategist.records.run import ArmOutcome
from strategist.records.trace import Failure, Scenario, Trace, Turn, Verdict, customer_hash
from strategist.roles.protocols import Advice, Attempt
from strategist.store import CallLog, Store, open_store
from strategist.store.needles import FEW, LONG, Needles
from strategist.store.purge import Rows, Swept, Whose, erase_records, eraser_for, parse_time, sweep

SYSTEM = "You are a service agent. These are the rules."
FIT, UNFIT = "When it is late, say that you start a trace.", "When they say zebra crossing at noon, be kind."


def talk(name: str, *said: str, customer: str = "", time: str = "", purpose: Purpose = "import", source: str = "logs") -> Trace:
    """A conversation; each message is answered by its echo."""
    messages = [Message(role="system", content=SYSTEM)]
    turns = []
    for index, text in enumerate(said):
        messages += [Message(role="user", content=text), Message(role="assistant", content=f"We see: {text}")]
        verdict = Verdict(check="c", hard=False, passed=False, detail=f"he said {text}")
        turns.append(
            Turn(
                index=index, customer=text, reply=f"We see: {text}", guidance=Guidance(lines=(FIT,)), state_before={"x": text},
                state_after={}, verdicts=(verdict,),
            )
        )  # fmt: skip
    return Trace(
        id=name, domain="d", persona=f"train-{name[0]}-~logs", issue="late", purpose=purpose, round=0, index=0, actor="student",
        messages=tuple(messages), turns=tuple(turns), customer=customer_hash(customer) if customer else "", time=time, source=source,
    )  # fmt: skip


def scenario(trace: Trace, turn: int = 0) -> Scenario:
    key = f"masked {trace.turns[turn].customer}"
    return Scenario(
        id=f"{trace.id}.{turn}", trace=trace.id, persona=trace.persona, issue="late", turn=turn, messages=trace.messages[: 2 * turn + 2],
        key=key, state={"x": key},
    )  # fmt: skip


def key(state: Scenario) -> Key:
    return Key(scenario=state.id, persona=state.persona, issue="late", text=state.key)


def log(store: Store, request: Sequence[Message], reply: str, *, purpose: Purpose = "coach", fails: str = "") -> str:
    """One call; returns its key."""
    calls = CallLog(store)
    name = f"{len(calls.totals('r'))}-{reply}-{fails}"
    id_ = calls.begin(
        key=name, run="r", attempt=1, role="student", model="m", purpose=purpose, sample=0, seed=0,
        request=ModelRequest(messages=tuple(request)),
    )  # fmt: skip
    if fails:
        calls.fail(id_, "refusal", fails, 1.0, hint=fails)
    else:
        calls.succeed(id_, Reply(text=reply, usage=Usage(prompt_tokens=7, completion_tokens=1)), 1.0)
    return name


def purge(store: Store, whose: Whose) -> tuple[Rows, Swept]:
    with store.transaction() as conn:
        eraser = eraser_for(conn, whose)
        return erase_records(conn, whose, eraser), sweep(conn, whose, eraser, lambda text: [f"masked {text}"])


def of(customer: str) -> Whose:
    return Whose(customer=customer_hash(customer))


def texts(store: Store) -> set[str]:
    with store.database.reading() as conn:
        return set(conn.scalars(select(store.tables.texts.c.text)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "a.db") as opened:
        yield opened


def test_only_the_persons_traces_are_erased_and_shared_texts_stay(store: Store) -> None:
    mine = talk("a1", "hello there all", "my zebra is lost", customer="anna")
    other = talk("b1", "hello there all", "my horse is lost", customer="bob")
    for run, trace in (("recorded", mine), ("recorded", other), ("r", mine.model_copy(update={"purpose": "generate"}))):
        store.put_trace(run, trace)
    rows, swept = purge(store, of("anna"))
    assert rows == Rows(conversations=1, turns=2, records=0, runs=("r", "recorded"))
    assert swept.words == {"my zebra is lost", "masked my zebra is lost"}
    assert store.get_trace("recorded", "b1") == other
    bare = store.get_trace("recorded", "a1")
    assert bare.erased
    assert not other.erased
    assert [m.content for m in bare.messages] == [SYSTEM, *[ERASED] * 4]
    assert (bare.customer, bare.turns[0].state_before, bare.turns[0].verdicts[0].detail) == ("", {}, ERASED)
    assert bare.turns[0].guidance.lines == (FIT,), "advice is nobody's"
    assert store.get_trace("r", "a1").messages == bare.messages
    assert not any("zebra" in text for text in texts(store))
    assert {"hello there all", "We see: hello there all", SYSTEM} <= texts(store)
    again = purge(store, of("anna"))
    assert (again[0].conversations, again[1].texts) == (0, 0)


def test_a_text_can_be_said_again_after_it_was_erased(store: Store) -> None:
    store.put_trace("recorded", talk("a1", "my zebra is lost", customer="anna"))
    purge(store, of("anna"))
    later = talk("b1", "my zebra is lost", customer="bob")
    store.put_trace("recorded", later)
    assert store.get_trace("recorded", "b1") == later


def test_replies_at_single_moments_are_found_by_customer_and_words(store: Store) -> None:
    mine, stranger = talk("a1", "my zebra is lost", customer="anna"), talk("a2", "a task of all", customer="bob")
    moment = talk("a9", "my zebra is lost", purpose="examine", source="")
    namesake = talk("a8", "a task of all", purpose="examine", source="")
    store.put_trace("recorded", mine)
    store.put_trace("recorded", stranger)
    store.put_trace("r", moment)
    store.put_trace("r", namesake)
    outcome = ArmOutcome(
        arm="bare", persona="p", issue="i", seed=0, score=None, goal=False, hard_failures=0, agent_turns=1, trace="a9",
        failure="refusal: no zebra for you",
    )  # fmt: skip
    store.put_document("r", "study", "x", 0, 0, outcome)
    rows, _ = purge(store, of("anna"))
    assert (rows.conversations, rows.records) == (2, 1)
    assert store.get_trace("r", "a9").erased
    assert store.get_trace("r", "a8") == namesake
    assert store.documents("r", "study", ArmOutcome)[0].failure == f"refusal: {ERASED}"


def coached(state: Scenario, *, fit: bool, why: str = "zebra") -> Coached:
    own = (Strategy(text=FIT if fit else UNFIT),)
    name = f"c-{state.trace}"
    candidate = Candidate(
        id=name, round=0, index=0, keys=(key(state),), strategies=own, why=why, reply_before=f"bare {state.trace}", reply_after="good"
    )  # fmt: skip
    refusal = Refusal(candidate=name, round=0, index=0, stage="lint", reason=f"it quotes {UNFIT}", strategies=own)
    advice = Advice(gap="major", why=why, keep=why, strategies=own)
    tried = Attempt(text="tried with them", lines=(own[0].text,))
    return Coached(
        scenario=state.id, kind="candidate" if fit else "refusal", candidate=candidate if fit else None, refusal=None if fit else refusal,
        attempts=(Attempt(text=f"bare {state.trace}", lines=("a library line",)), tried), advice=(advice,), message="",
    )  # fmt: skip


def test_what_coaching_left_goes_and_lines_that_passed_lint_stay(store: Store) -> None:
    mine, other, third = (
        talk("a1", "my zebra is lost", customer="anna"),
        talk("b1", "my horse is lost"),
        talk("a2", "zebra", customer="anna"),
    )
    states = [scenario(trace) for trace in (mine, other, third)]
    for trace, state in zip((mine, other, third), states, strict=True):
        store.put_trace("recorded", trace)
        store.put_document("r", "scenario", state.id, 0, 0, state)
    found = [coached(states[0], fit=True), coached(states[1], fit=True), coached(states[2], fit=False)]
    store.put_documents("r", "coached", [(one.scenario, 0, i, one) for i, one in enumerate(found)])
    lint, gate = (
        found[2].refusal,
        Refusal(candidate="c-a1", round=0, index=1, stage="gate", reason="chance", strategies=(Strategy(text=FIT),)),
    )
    assert lint is not None
    store.put_documents("r", "refusal", [("x", 0, 0, lint), ("y", 0, 1, gate)])
    merged = [one.candidate for one in found[:2] if one.candidate is not None]
    for name, first, second in (("m1", merged[0], merged[1]), ("m2", merged[1], merged[0])):
        whole = first.model_copy(update={"id": name, "keys": first.keys + second.keys})
        store.put_document("r", "candidate", name, 0, 0, whole)
    pairs = tuple(
        Pair(scenario=s.id, persona="p", stage=1, score=0.5, result="win", uplift=1, baseline_hard=0, guided_hard=0, failure="model: zebra")
        for s in states
    )
    store.put_document("r", "evidence", "m1", 0, 0, Evidence(decision="admitted", pairs=pairs, wins=3))
    judged = [
        Judged(
            kind="gate", judge="j", scenario=s.id, persona="p", round=0, reply_before=f"before {s.id}", reply_after="after",
            comparison=Comparison(forward="1", backward="1"),
        )
        for s in states
    ]  # fmt: skip
    store.put_documents("r", "judged", [(s.id, 0, 0, one) for s, one in zip(states, judged, strict=True)])

    purge(store, of("anna"))

    bare = store.documents("r", "coached", Coached)
    assert bare[1] == found[1]
    assert bare[0].candidate is not None
    assert (bare[0].candidate.strategies, bare[0].candidate.why, bare[0].candidate.keys[0].text) == ((Strategy(text=FIT),), ERASED, ERASED)
    assert [a.text for a in bare[0].attempts] == [ERASED, ERASED]
    assert [a.lines for a in bare[0].attempts] == [("a library line",), (FIT,)]
    assert bare[0].advice == (Advice(gap="major", why=ERASED, keep=ERASED, strategies=(Strategy(text=FIT),)),)
    assert bare[2].refusal is not None
    assert (bare[2].refusal.strategies, bare[2].refusal.reason) == ((Strategy(text=ERASED),), ERASED)
    assert bare[2].attempts[1].lines == (ERASED,)
    assert bare[2].advice[0].strategies == (Strategy(text=ERASED),)
    refusals = store.documents("r", "refusal", Refusal)
    assert (refusals[0].reason, refusals[0].strategies) == (ERASED, (Strategy(text=ERASED),))
    assert refusals[1] == gate
    one, two = store.documents("r", "candidate", Candidate)
    assert [k.text for k in one.keys] == [ERASED, states[1].key]
    assert (one.reply_before, one.why) == (ERASED, ERASED)
    assert two.reply_before == "bare b1", "replies of a merged candidate are those of whom they were coached on"
    assert store.documents("r", "evidence", Evidence)[0].wins == 3
    assert [p.failure for p in store.documents("r", "evidence", Evidence)[0].pairs] == [
        f"model: {ERASED}",
        "model: zebra",
        f"model: {ERASED}",
    ]
    assert [j.reply_before for j in store.documents("r", "judged", Judged)] == [ERASED, ERASED, "before b1.0"]
    assert store.documents("r", "scenario", Scenario)[0].state == {}


def test_calls_with_the_persons_words_lose_their_texts_and_their_answers(store: Store) -> None:
    mine, other = talk("a1", "my zebra is lost", "zzz", customer="anna"), talk("b1", "my horse is lost", customer="bob")
    store.put_trace("recorded", mine)
    store.put_trace("recorded", other)
    system = Message(role="system", content=SYSTEM)
    own = [
        log(store, mine.messages[:2], "I look for the zebra"),
        log(store, [system, Message(role="user", content="my zebra is lost\n\n[advice]")], "placed"),
        log(store, [Message(role="user", content="Compare. masked my zebra is lost. A: x")], "prompt"),
        log(store, [system, Message(role="user", content="zzz")], "short, and nobody else's"),
        log(store, [system, Message(role="user", content="who is it?")], "you said: my zebra is lost"),
        log(store, mine.messages[:2], "", fails="the model refuses: zebra"),
    ]
    others = [
        log(store, other.messages[:2], "I look for the horse"),
        log(store, [system, Message(role="user", content="zzz top")], "music"),
    ]
    calls = CallLog(store)
    totals = calls.totals("r")
    _, swept = purge(store, of("anna"))
    assert swept.calls == len(own)
    assert calls.totals("r") == totals
    assert [calls.find(name) for name in own] == [None] * len(own), "who asks the same again is answered anew"
    assert all(calls.find(name) is not None for name in others)
    kept = texts(store)
    assert not [text for text in kept if "zebra" in text or text == "zzz" or "short, and" in text]
    assert {"I look for the horse", "zzz top", "music"} <= kept
    rows = sqlite3.connect(store.path).execute("select coalesce(error,'') || coalesce(hint,'') from calls").fetchall()
    assert sorted({text for (text,) in rows}) == ["", ERASED * 2]
    assert purge(store, of("anna"))[1].calls == 0


def test_free_words_and_reasons_that_quote_the_person_are_erased_wherever_they_stand(store: Store) -> None:
    store.put_trace("recorded", talk("a1", "my zebra is lost", customer="anna"))
    failed = talk("b1", "my horse is lost").model_copy(update={"failure": Failure(kind="model", message="it says 'my zebra is lost'")})
    store.put_trace("r", failed)
    outcome = ArmOutcome(
        arm="bare", persona="my zebra is lost", issue="i", seed=0, score=None, goal=False, hard_failures=0, agent_turns=1,
        failure="model: my zebra is lost",
    )  # fmt: skip
    store.put_document("r", "study", "x", 0, 0, outcome)
    refusal = Refusal(candidate="c", round=0, index=0, stage="coach", reason="because my zebra is lost", strategies=())
    store.put_document("r", "refusal", "x", 0, 0, refusal)
    with store.transaction() as conn:
        store.append_event(conn, "eve", "retire", "e1", "x", "y", "a customer wrote: my zebra is lost")
        store.append_event(conn, "eve", "retire", "e2", "x", "y", "wrong")
    _, swept = purge(store, of("anna"))
    assert swept.reasons == 1
    assert [event.reason for event in store.events()] == [ERASED, "wrong"]
    assert store.get_trace("r", "b1").failure == Failure(kind="model", message=ERASED)
    study = store.documents("r", "study", ArmOutcome)[0]
    assert (study.failure, study.persona) == (f"model: {ERASED}", "my zebra is lost"), "names are no free words"
    assert store.documents("r", "refusal", Refusal)[0].reason == ERASED
    with pytest.raises(StoreError, match="append-only"), store.transaction() as conn:
        conn.exec_driver_sql("update events set reason = 'x'")


def test_old_conversations_and_served_calls_are_told_by_their_time(store: Store) -> None:
    old = [talk("a1", "an old zebra one", time="2024-05-01T10:00:00Z"), talk("a2", "an old day zebra", time="2024-05-01")]
    kept = [talk("b1", "a new horse one", time="2025-05-01"), talk("b2", "when was it said"), talk("b3", "odd time given", time="May")]
    for trace in (*old, *kept):
        store.put_trace("recorded", trace)
    served = log(store, [Message(role="user", content="a served zebra")], "yes", purpose="serve")
    own = log(store, [Message(role="user", content="a simulated one")], "yes", purpose="coach")
    with store.transaction() as conn:
        conn.exec_driver_sql("update calls set started_at = '2024-01-01T00:00:00+00:00'")
    whose = Whose(before=datetime(2025, 1, 1, tzinfo=UTC))
    rows, swept = purge(store, whose)
    assert (rows.conversations, rows.undated, swept.calls) == (2, 2, 1)
    assert [store.get_trace("recorded", trace.id) for trace in kept] == kept
    calls = CallLog(store)
    assert (calls.find(served), calls.find(own) is None) == (None, False)
    assert not [text for text in texts(store) if "zebra" in text]
    again, more = purge(store, whose)
    assert (again.conversations, more.calls, more.texts) == (0, 0, 0)


def test_texts_of_an_older_state_of_a_conversation_go_as_well(store: Store) -> None:
    store.put_trace("recorded", talk("a1", "my zebra is lost", customer="anna"))
    store.put_trace("recorded", talk("a1", "my horse is lost", customer="anna"))
    assert "my zebra is lost" in texts(store)
    purge(store, of("anna"))
    assert texts(store) == {SYSTEM}


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2025-01-31", datetime(2025, 1, 31, tzinfo=UTC)),
        ("2025-01-31T10:00:00Z", datetime(2025, 1, 31, 10, tzinfo=UTC)),
        ("2025-01-31T10:00:00+02:00", datetime(2025, 1, 31, 8, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_without_a_zone_are_utc(text: str, time: datetime | None) -> None:
    assert parse_time(text) == time


_SAID = st.text("ab ", min_size=LONG - 2, max_size=LONG + 6).filter(str.strip)


@settings(max_examples=40, deadline=None)
@given(mine=st.lists(_SAID, min_size=1, max_size=4), theirs=st.lists(_SAID, min_size=1, max_size=4), both=st.lists(_SAID, max_size=2))
def test_no_text_of_anybody_else_is_ever_lost(
    mine: list[str], theirs: list[str], both: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("purge") / "a.db"
    with open_store(path) as store:
        own, other = talk("a1", *mine, *both, customer="anna"), talk("b1", *both, *theirs, customer="bob")
        states = [scenario(other, turn) for turn in range(len(other.turns))]
        store.put_trace("recorded", own)
        store.put_trace("recorded", other)
        store.put_documents("r", "scenario", [(s.id, 0, 0, s) for s in states])
        for text in (*mine, *both):
            log(store, [Message(role="user", content=f"> {text} <")], text)
        _, swept = purge(store, of("anna"))
        store.database.compact()
        assert store.get_trace("recorded", "b1") == other
        assert {s.id: s for s in store.documents("r", "scenario", Scenario)} == {s.id: s for s in states}
        assert store.get_trace("recorded", "a1").erased
    raw = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert [word for word in swept.words if word.encode() in raw] == []


@given(st.lists(st.text("ab", min_size=LONG, max_size=LONG + 2), max_size=5), st.text("ab", max_size=60))
def test_many_needles_are_found_like_a_few(words: list[str], text: str) -> None:
    few = Needles(words)
    many = Needles([*words, *(f"{number:020d}" for number in range(FEW + 1))])
    assert few.stand_in(text) == many.stand_in(text) == any(word in text for word in words)
    few.drop_those_in(text)
    many.drop_those_in(text)
    assert few.all == {word for word in words if word not in text}
    assert few.all <= many.all
