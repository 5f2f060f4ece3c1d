"""What crosses to another company, what it is worth there, and which entries stay behind."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals import transfer as study
from evals.lab_worlds import Job
from strategist.domains.pack import find_domain
from strategist.errors import LibraryError
from strategist.evaluation.arms import make_arm
from strategist.evaluation.transfer import (
    EntryUse,
    Plan,
    Transfer,
    gains,
    learned_in,
    make_plan,
    own_library,
    play_transfer,
    require_lines,
    share_kept,
    uses_of,
    verdict_of,
)
from strategist.lab.domain import lab_domain
from strategist.lab.optimum import known_best
from strategist.lab.worlds import load_world, load_worlds
from strategist.library.crossing import Company, company_of, cross, findings, specific_words
from strategist.project import open_project
from strategist.records.evidence import Evidence
from strategist.records.library import Entry, Floor, Guidance, Key, Snapshot, Strategy
from strategist.records.run import ArmName, ArmOutcome
from strategist.records.trace import Trace, Turn
from strategist.settings import GateSettings, Settings, TeachSettings
from strategist.stats import Estimate, ratio_of_means

PARCELS = Company(
    "parcels",
    "Swiftline Parcels",
    "R1. A late parcel is traced: use open_trace. R2. A claim is possible within 14 days, at most 100 euros. R3. Ask Mrs Pemberton.",
    ("open_trace",),
    "en",
)
HOTEL = Company(
    "hotel",
    "Grand Harbour",
    "R1. Guests check out at noon. R2. A room is held until the evening of arrival. R3. Breakfast is served in the Orangery for 12 euros.",
    ("hold_room",),
    "en",
)
BRIEF_WORDS = sorted({word for word in HOTEL.brief.replace(".", " ").split() if not word.startswith("R")})


def kinds(line: str, source: Company | None = PARCELS, target: Company = HOTEL) -> list[str]:
    return [finding.kind for finding in findings(line, source, target)]


@given(st.lists(st.sampled_from(BRIEF_WORDS), min_size=1, max_size=12))
def test_a_line_of_the_other_briefs_words_is_never_held_as_company_specific(words: list[str]) -> None:
    assert [kind for kind in kinds(" ".join(words)) if kind != "lint"] == []
    assert [kind for kind in kinds(" ".join(words), None) if kind != "lint"] == []


WORD = st.text("abcdefghij", min_size=3, max_size=9)


@given(st.lists(WORD, min_size=1, max_size=3), st.lists(st.sampled_from(BRIEF_WORDS), max_size=6), st.lists(WORD, max_size=6))
def test_a_line_with_the_name_of_its_company_never_crosses(title: list[str], before: list[str], after: list[str]) -> None:
    source = PARCELS._replace(title=" ".join(title).title())
    assert kinds(" ".join([*before, source.title, *after]), source)[0] == "company"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Offer to ask at Swiftline Parcels.", "company"),
        ("Say that parcels arrive soon.", "company"),
        ("Answer as R2 says.", "rule"),
        ("Use open_trace before anything else.", "tool"),
        ("Say that Pemberton decides.", "name"),
        ("When something is late, open a trace.", "words"),
        ("Say that it takes 14 days.", "lint"),
        ("Name the cap of 100 euros.", "lint"),
    ],
)
def test_what_belongs_to_one_company_is_recognised(line: str, kind: str) -> None:
    assert kind in kinds(line)
    assert kind in kinds(line, None) or kind in ("company", "words"), "without its source only names, tools, rules and figures tell"


@pytest.mark.parametrize(
    "line",
    [
        "When a customer starts angry, name in a few words what makes it hard.",
        "Use hold_room and say what was done.",
        "Say that breakfast is in the Orangery.",
        "Name the 12 euros for breakfast.",
        "Ask one question at a time, then say who does what next.",
    ],
)
def test_what_any_company_could_say_crosses(line: str) -> None:
    assert kinds(line) == kinds(line, None) == []


def test_forms_of_a_word_are_one_word_and_german_capitals_no_names() -> None:
    assert specific_words("Tracing parcels that were traced", PARCELS, HOTEL) == (["tracing", "parcels", "traced"], 3)
    kurier = company_of(find_domain("kurier", Path()))
    assert findings("Wenn der Kunde verärgert ist, zuerst Verständnis zeigen.", kurier, kurier._replace(title="Bäckerei", brief="")) == ()
    assert findings("Bei Falkenberg nachfragen.", kurier, kurier._replace(title="Bäckerei", brief=""))[0].kind == "company"
    assert kinds("Offer to ask at Grand Harbour.", HOTEL._replace(name="other"), HOTEL) == []


def key(name: str) -> Key:
    return Key(scenario=name, persona=name, issue="i", text=name)


def entry(name: str, *lines: str, domain: str = "parcels", brief: str = "b", student: str = "s") -> Entry:
    return Entry(
        id=name, status="admitted", keys=(key(name),), strategies=tuple(Strategy(text=line) for line in lines), domain=domain,
        brief_hash=brief, student=student, advisor="a", round=0, evidence=Evidence(decision="admitted"),
    )  # fmt: skip


GOOD, BAD = "Ask one question at a time.", "When something is late, open a trace."


def test_an_entry_loses_its_lines_or_becomes_a_gap() -> None:
    whole, part, none, control = entry("e1", GOOD), entry("e2", GOOD, BAD), entry("e3", BAD), entry("e4")
    at_home = entry("e5", BAD, brief="here")
    everywhere = entry("e6", BAD).model_copy(update={"scope": "general"})
    library = Snapshot(entries=(whole, part, none, control, at_home, everywhere), floor=Floor(score=0.4, source="calibration"))
    found = cross(library, {"parcels": PARCELS}, HOTEL, brief_hash="here")
    left = {e.id: e for e in found.snapshot.entries}
    assert list(left) == ["e1", "e2", "e4", "e5"]
    assert (left["e1"], left["e4"], left["e5"]) == (whole, control, at_home)
    assert [s.text for s in left["e2"].strategies] == [GOOD]
    assert left["e2"].evidence is None, "what is left was never tested by itself"
    assert found.snapshot.floor == Floor(score=0.4, source="calibration", gaps=(key("e3"),))
    assert [(held.entry, held.line, held.kind) for held in found.held] == [(f"e{i}@1", BAD, "words") for i in (2, 3, 6)]
    bare = cross(library.model_copy(update={"floor": None}), {"parcels": PARCELS}, HOTEL).snapshot.floor
    assert bare is not None
    assert (bare.score, len(bare.gaps)) == (0.0, 2)
    untouched = Snapshot(entries=(whole,))
    assert cross(untouched, {"parcels": PARCELS}, HOTEL).snapshot == untouched


def test_nothing_crosses_between_languages() -> None:
    with pytest.raises(LibraryError, match="nothing crosses: the lines of Swiftline Parcels are English, Grand Harbour speaks German"):
        cross(Snapshot(entries=(entry("e1", GOOD),)), {"parcels": PARCELS}, HOTEL._replace(language="de-CH"))


SHOP = lab_domain(load_world("specific"))
TWINS = lab_domain(load_world("misleading"))
BEST = known_best(load_world("specific")).model_copy(update={"embedder": "e"})
SOURCES = {SHOP.name: company_of(SHOP)}


def test_a_plan_is_refused_where_nothing_can_be_measured() -> None:
    with pytest.raises(LibraryError, match="no lines"):
        make_plan(Snapshot(entries=(entry("control"),)), sources={}, target=SHOP, embedder="e")
    with pytest.raises(LibraryError, match="built with the embedder e, this project has f"):
        make_plan(BEST, sources=SOURCES, target=SHOP, embedder="f")
    with pytest.raises(LibraryError, match=r"no line crosses to Lindenbaum Furniture \(11 x words; 1 x name\)"):
        require_lines(make_plan(BEST, sources=SOURCES, target=TWINS, embedder="e"), TWINS)
    control = make_plan(BEST, sources=SOURCES, target=TWINS, embedder="e", whole=True)
    require_lines(control, TWINS)
    assert control.whole == BEST


def test_at_home_everything_crosses_and_there_is_no_control() -> None:
    plan = make_plan(BEST, sources=SOURCES, target=SHOP, embedder="e", own=Snapshot(), whole=True)
    assert (plan.transferred, plan.whole, plan.own, plan.held) == (BEST, None, None, ())
    assert learned_in(BEST) == ("lab_specific with lab:specific/student",)
    mine = own_library(BEST, "lab_specific", "lab:specific/student")
    assert (mine, own_library(BEST, "lab_specific", "other").entries) == (BEST, ())
    assert make_plan(BEST, sources=SOURCES, target=SHOP, embedder="e", own=mine).own == BEST


def outcome(arm: ArmName, persona: str, score: float | None, seed: int = 1) -> ArmOutcome:
    trace = f"{arm}-{persona}-{seed}"
    return ArmOutcome(
        arm=arm, persona=persona, issue="i", seed=seed, score=score, goal=False, hard_failures=0, agent_turns=1, trace=trace,
        failure=None if score is not None else "model: gone",
    )  # fmt: skip


def three(bare: Sequence[float | None], transferred: Sequence[float], own: Sequence[float]) -> list[ArmOutcome]:
    arms: tuple[tuple[ArmName, Sequence[float | None]], ...] = (("bare", bare), ("transferred", transferred), ("own", own))
    return [outcome(arm, f"p{i}", score) for arm, scores in arms for i, score in enumerate(scores)]


def test_the_share_kept_by_hand() -> None:
    found = share_kept(three([0.2, 0.4, 0.3, None], [0.4, 0.5, 0.5, 0.9], [0.6, 0.6, 0.7, 0.9])).share
    assert found is not None
    assert found.mean == pytest.approx(0.5 / 1.0)
    assert found.n == 3
    assert found.low <= found.mean <= found.high


def test_the_share_is_only_given_where_there_is_a_gain_to_keep() -> None:
    assert "no library of its own" in share_kept([outcome("bare", "p", 0.1)]).why
    unsure = share_kept(three([0.2, 0.9, 0.3], [0.4, 0.5, 0.5], [0.9, 0.2, 0.4]))
    assert unsure.share is None
    assert "not surely above 0" in unsure.why
    assert "too few" in share_kept(three([0.2], [0.4], [0.6])).why


def test_gains_are_of_the_arms_that_were_played() -> None:
    found = gains(three([0.2, 0.3], [0.4, 0.4], [0.6, 0.8]))
    assert [(one.arm, one.base) for one in found] == [("transferred", "bare"), ("own", "bare"), ("transferred", "own")]


def test_the_ratio_covers_what_it_should() -> None:
    """1,000 customers' gains with a known ratio: the interval holds it about as often as it says."""
    dice, hits, runs = random.Random(5), 0, 300
    for _ in range(runs):
        own = {f"p{i}": dice.gauss(0.15, 0.2) for i in range(40)}
        moved = {unit: 0.6 * gain + dice.gauss(0, 0.1) for unit, gain in own.items()}
        found = ratio_of_means(moved, own, draws=600)
        hits += found.low <= 0.6 <= found.high
    assert 0.91 <= hits / runs <= 0.985


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=12), st.floats(-2, 2))
def test_the_ratio_of_proportional_gains_is_exact(gains_: list[float], share: float) -> None:
    own = {str(i): gain for i, gain in enumerate(gains_)}
    found = ratio_of_means({unit: share * gain for unit, gain in own.items()}, own, draws=50)
    assert found[:3] == pytest.approx((share,) * 3)
    assert found.n == len(own)


def test_a_ratio_without_a_base_is_no_number() -> None:
    with pytest.raises(ValueError, match="above 0"):
        ratio_of_means({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": -1.0})
    with pytest.raises(ValueError, match="at least 2 units"):
        ratio_of_means({"a": 1.0}, {"a": 1.0, "b": 1.0})
    wide = ratio_of_means({"a": 1.0, "b": -1.0}, {"a": 1.0, "b": -0.9})
    assert wide.low == float("-inf")
    assert wide.high == pytest.approx(1.111, abs=0.2)


def trace_of(arm: ArmName, persona: str, *turns: tuple[tuple[str, ...], tuple[str, ...]]) -> Trace:
    made = tuple(
        Turn(
            index=i, customer="c", reply="r", state_before={}, state_after={},
            guidance=Guidance(lines=lines, entries=refs, reason="matched"),
        )
        for i, (refs, lines) in enumerate(turns)
    )  # fmt: skip
    return Trace(
        id=f"{arm}-{persona}-1", domain="d", persona=persona, issue="i", purpose="examine", round=0, index=0, actor="student", arm=arm,
        messages=(), turns=made,
    )  # fmt: skip


def test_entries_are_counted_where_their_lines_were_placed() -> None:
    entries = tuple(entry(f"e{i}", GOOD) for i in range(4))
    plan = Plan(Snapshot(entries=(entry("e0", BAD, GOOD), *entries[1:], entry("control"))), Snapshot(entries=entries[:3]), None, None, ())
    outcomes = [outcome("bare", f"p{i}", 0.2) for i in range(6)]
    outcomes += [outcome("transferred", f"p{i}", 0.3 + i / 10 if i < 5 else None) for i in range(6)]
    used, lines = ("e0@1", "e1@1"), (GOOD,)
    traces = [trace_of("transferred", f"p{i}", (used[: 1 + (i == 0)], lines), (("e0@1",), lines), (("e2@1",), ())) for i in range(6)]
    traces.append(trace_of("bare", "p0", (("e2@1",), lines)))
    first, second, third, last = uses_of(plan, outcomes, traces)
    assert (first.turns, first.conversations, first.personas) == (12, 6, 5), "a failed conversation is no difference"
    assert first.lines == (GOOD,), "not what is held back"
    assert first.difference == pytest.approx(0.3)
    assert first.interval is not None
    assert first.verdict == "helps"
    assert second == EntryUse(
        entry="e1@1", lines=lines, turns=1, conversations=1, personas=1, difference=second.difference, verdict="not proven"
    )
    assert second.difference == pytest.approx(0.1)
    assert (third.verdict, last.verdict) == ("never retrieved", "held back")


def test_an_entry_that_only_failed_conversations_had_has_no_difference() -> None:
    plan = Plan(Snapshot(entries=(entry("e0", GOOD),)), Snapshot(entries=(entry("e0", GOOD),)), None, None, ())
    (only,) = uses_of(
        plan, [outcome("bare", "p", 0.5), outcome("transferred", "p", None)], [trace_of("transferred", "p", (("e0@1",), (GOOD,)))]
    )
    assert (only.conversations, only.personas, only.difference, only.verdict) == (1, 0, None, "not proven")


def test_verdicts() -> None:
    assert verdict_of(None) == verdict_of(Estimate(0.1, -0.1, 0.3, 9)) == "not proven"
    assert verdict_of(Estimate(0.1, 0.01, 0.3, 9)) == "helps"
    assert verdict_of(Estimate(-0.1, -0.2, -0.01, 9)) == "harms"
    assert verdict_of(Estimate(0.0, -0.03, 0.04, 9)) == "no use"


def test_the_arms_of_a_transfer_are_no_arms_of_a_study() -> None:
    with pytest.raises(LibraryError, match="one of a transfer"):
        make_arm("whole", lambda source: pytest.fail("not asked"))


def test_played_in_the_lab(tmp_path: Path) -> None:
    """The best library at home with its student: all that can be gained, and it is a record like any other."""
    made = Job("specific", 0).settings(tmp_path)
    kept: list[Trace] = []

    async def main() -> Transfer:
        with open_project(made) as project:
            best = BEST.model_copy(update={"embedder": project.embedder.embedder.id})
            plan = make_plan(best, sources=SOURCES, target=project.domain, embedder=best.embedder, own=best)
            async with project.deps(project.transfer_run(best.hash)) as deps:
                return await play_transfer(deps, plan, 12, (1, 2), keep=kept.append)

    found = asyncio.run(main())
    assert share_kept(found.outcomes).share == Estimate(1.0, 1.0, 1.0, 12)
    assert len(kept) == 3 * 12 * 2
    assert {use.verdict for use in found.uses} <= {"helps", "not proven"}
    assert Transfer.model_validate_json(found.model_dump_json()) == found


def tiny(place: str, seed: int, home: Path) -> Settings:
    teach = TeachSettings(rounds=1, conversations=24, scenarios=12, candidates=6, dev_personas=2, max_turns=2)
    return SETTINGS_OF(place, seed, home).model_copy(update={"teach": teach, "gate": GateSettings(look=2, most=8, least=4, fdr=0.9)})


SETTINGS_OF = study.settings_of


def test_the_study_on_tiny_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(study, "settings_of", tiny)
    monkeypatch.setattr(study, "CUSTOMERS", 4)
    found = {
        "neighbour": [study.result_of("neighbour", seed, tmp_path) for seed in range(2)],
        "weak": [study.result_of("weak", 0, tmp_path)] * 2,
    }
    assert "weak" not in load_worlds(), "the lab is left as it was"
    for result in found["weak"]:
        assert result.crossed == result.lines == result.needed, "the same company"
    for result in found["neighbour"]:
        assert result.crossed == result.needed_crossed == result.needed < result.lines
    study.print_table(found)
    printed = capsys.readouterr().out
    assert printed.count("\n| *") == 2
    assert "held back" in printed
    monkeypatch.setattr(study, "source_library", None)
    assert study.result_of("weak", 0, tmp_path) == found["weak"][0], "a run that was written down is not made again"
    written = json.loads((tmp_path / "weak-0" / "result.json").read_text(encoding="utf-8"))
    assert study.share([study.Result(**{**written, "own": written["bare"]})] * 2) == "-"


def test_the_study_of_lines(capsys: pytest.CaptureFixture[str]) -> None:
    study.lines()
    printed = capsys.readouterr().out
    assert "| parcel | lab:specific | 22 |" in printed
    assert "of lines for any company 5 of 5, of the company's own 0 of 17" in printed
    assert "kurier" not in printed


def test_a_wrong_file_is_one_line(tmp_path: Path) -> None:
    assert "cannot read" in str(study.real(tmp_path / "none.jsonl", tmp_path / "none.toml"))
