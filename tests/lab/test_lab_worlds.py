"""The committed worlds can be told apart by text alone, their lines would pass the lint, and a broken file says what is wrong."""

import math
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pytest

from strategist.errors import DomainError
from strategist.lab.domain import lab_domain
from strategist.lab.worlds import FILE, World, load_world, load_worlds, meeting_rate, offset, promise_rate
from strategist.library.lint import lint_strategy
from strategist.retrieval.mask import mask

NAMES = ["specific", "one_line", "uncoachable", "misleading"]
SLOTS = {"item": "desk lamp", "order": "LB123456", "day": "Monday"}


@pytest.mark.parametrize("name", NAMES)
def test_every_wording_shows_its_situation_also_when_masked(worlds: dict[str, World], name: str) -> None:
    world = worlds[name]
    assert 10 <= len(world.situations) <= 14
    for situation in world.situations:
        for text in (*situation.openings, *situation.follow_ups, *situation.again):
            assert world.recognise(mask(text.format_map(SLOTS))) == situation


@pytest.mark.parametrize("name", NAMES)
def test_right_lines_and_decoys_pass_the_lint(worlds: dict[str, World], name: str) -> None:
    world = worlds[name]
    brief = lab_domain(world).brief
    for situation in world.situations:
        said = [text.format_map(SLOTS) for text in (*situation.openings, *situation.details, *situation.follow_ups, *situation.again)]
        for line in (situation.need.line, situation.decoy):
            faults = lint_strategy(line, teacher_reply=" ".join(situation.need.says), customer_texts=said, brief=brief)
            assert faults == []


def test_a_paraphrase_of_a_line_acts_like_the_line(worlds: dict[str, World]) -> None:
    world = worlds["specific"]
    broken = world.situation("broken")
    assert world.line_kind(broken, "If goods arrive damaged, request Pictures and keep the packaging.") == "right"
    assert world.line_kind(broken, "If goods arrive damaged, request pictures.") == "noise"
    assert world.line_kind(broken, world.situation("late").need.line) == "other"


def test_rates_follow_the_lines(worlds: dict[str, World]) -> None:
    world = worlds["misleading"]
    rates, situation = world.rates, world.situation("cancel_packing")
    right, twin = situation.need.line, world.situation("cancel_travelling").need.line
    other = world.situation("repair_old").need.line
    shift = offset(world, situation)
    assert meeting_rate(world, situation, ()) == rates.bare + shift
    assert meeting_rate(world, situation, [right]) == rates.right + shift
    assert meeting_rate(world, situation, [right, situation.decoy]) == pytest.approx(rates.right + shift - rates.crowding)
    assert meeting_rate(world, situation, [twin]) == rates.twin
    assert meeting_rate(world, situation, [twin, other]) == rates.twin
    assert rates.conflict is not None
    assert meeting_rate(world, situation, [twin, right]) == pytest.approx(rates.conflict - rates.crowding)
    assert meeting_rate(world, situation, [other]) == rates.other
    assert meeting_rate(world, situation, [situation.decoy]) == rates.noise
    crowd = [right, *(need.line for need in world.needs if need.line not in (right, twin))] * 3
    assert meeting_rate(world, situation, crowd) == rates.other
    assert promise_rate(world, situation, [right]) == promise_rate(world, None, [twin]) == world.side.promise
    assert promise_rate(world, situation, [right, other]) == world.side.promise_other
    assert promise_rate(world, situation, [twin]) == world.side.promise_twin


@pytest.mark.parametrize("name", NAMES)
def test_situations_vary_around_the_stated_mean(worlds: dict[str, World], name: str) -> None:
    world = worlds[name]
    offsets = [offset(world, situation) for situation in world.situations]
    assert math.isclose(fmean(offsets), 0, abs_tol=1e-12)
    assert (min(offsets), max(offsets)) == (-world.rates.variation, world.rates.variation)
    assert len(set(offsets)) == len(offsets)


def test_an_unknown_world_is_one_clear_error() -> None:
    with pytest.raises(DomainError, match="no lab world named 'flat'") as caught:
        load_world("flat")
    assert "specific" in caught.value.hint


@pytest.fixture
def broken(tmp_path: Path) -> Callable[[str, str], str]:
    """Change one text of the committed file and return the error that loading then gives."""

    def load(old: str, new: str) -> str:
        text = FILE.read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.toml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(DomainError) as caught:
            load_worlds(path)
        return str(caught.value)

    return load


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bare = 0.30, right = 0.80", "bare = 1.30, right = 0.80", "world specific: rates.bare"),
        ("bare = 0.30, right = 0.80", "bare = 0.30, right = 0.90", "right = 0.9 (with its variation) must lie between"),
        ("noise = 0.24, crowding", "noise = 0.99, crowding", "noise = 0.99"),
        ("variation = 0.05, always = 0.04, never = 0.08", "variation = 0.0, always = 0.1, never = 1.0", "must lie between"),
        ("dev = [3]", "dev = [2]", "every split needs wordings of its own"),
        ("test = [4]", "test = [5]", "too few openings"),
        ("needs = [1, 2, 2, 3] ", "needs = [1, 2, 4] ", "needs are 1 to 3"),
        ("Two screws are missing from", "Two screws fell out of", "cues of no situation in"),
        ("The {item} came out of the box broken.", "The broken {item} has not arrived.", "cues of ['late', 'broken']"),
        ("The box had a dent at one corner.", "The box was broken.", "a cue in 'The box was broken.'"),
        ('decoy = "When a parcel is overdue, mention', 'decoy = "When a parcel is overdue, start tracing and mention', "the decoy names"),
        ('keywords = ["serial"]', 'keywords = ["label"]', "its line names"),
        ('marker = "our driver"', 'marker = "the driver"', "meets []"),
        ("request its serial number and", "look at the plate underneath and", "its line names []"),
        ("offer the waiting list and name", "put them on the list, a waiting list, and name", "its line holds a marker"),
        ("I have filed a trace request with the carrier", "Say that you start a trace request", "its line gives away"),
        ('twin = "cancel_travelling"', 'twin = "money_card"', "its twin does not name it"),
        ("twin = 0.06, ", "", "needs the rates twin and conflict"),
        ("advice = { right = 0.70 }", "", "missing or misplaced: 'advice'"),
        ('catalogue = "shop"', 'catalogue = "shp"', "missing or misplaced: 'shp'"),
        ("[world.specific]", "[world.specific", "cannot read the lab's worlds"),
    ],
)
def test_a_broken_file_is_one_clear_error(broken: Callable[[str, str], str], old: str, new: str, message: str) -> None:
    assert message in broken(old, new)


def test_a_stride_that_repeats_is_refused(worlds: dict[str, World]) -> None:
    world = worlds["specific"]
    with pytest.raises(ValueError, match="multiple of 5"):
        World.model_validate({**world.model_dump(), "situations": world.model_dump()["situations"][:10]})


def test_shares_that_leave_nothing_to_draw_are_refused(worlds: dict[str, World]) -> None:
    rates = {**worlds["uncoachable"].rates.model_dump(), **dict.fromkeys(("bare", "right", "other", "noise"), 0.5)}
    with pytest.raises(ValueError, match="below 1"):
        type(worlds["uncoachable"].rates).model_validate({**rates, "variation": 0.0, "always": 0.5, "never": 0.5})
