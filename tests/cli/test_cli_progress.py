from __future__ import annotations

import io
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from strategist.cli import progress
from strategist.cli.progress import QUIET_S, SHARES, SILENT_S, Bars, Pace, StudyBar
from strategist.loop.deps import NodeName
from strategist.loop.deps import Progress as Event


class Clock:
    """Seconds as the test sets them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def event(node: NodeName, done: int, total: int, round_: int = 0, cost: float = 0.0) -> Event:
    return Event(node=node, round=round_, done=done, total=total, calls=1_234, cost_usd=cost)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard error as a terminal of 100 columns."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None, legacy_windows=False)
    monkeypatch.setattr(progress, "err", console)
    return screen


@settings(max_examples=60, deadline=None)
@given(total=st.integers(1, 400), step=st.floats(0.0, 40.0))
def test_a_log_tells_the_end_of_a_stretch_once_and_at_most_every_fifth_before(total: int, step: float) -> None:
    clock = Clock()
    pace = Pace(clock)
    due = []
    for done in [*range(total + 1), total]:
        clock.now += step
        if pace.due("admit", done, total):
            due.append((clock.now, done))
    assert [done for _, done in due].count(total) == 1
    assert due[-1][1] == total
    assert len(due) <= SHARES + clock.now / SILENT_S
    silences = [b[0] - a[0] for a, b in pairwise(due[:-1])]
    assert all(silence >= QUIET_S for silence in silences)


def test_a_long_stretch_shows_life_and_a_short_one_only_its_end() -> None:
    clock = Clock()
    pace = Pace(clock)
    slow = []
    for done in range(101):
        clock.now = 4.0 * done
        slow += [done] if pace.due("coach", done, 100) else []
    assert slow == [20, 40, 60, 80, 100]
    fast = [done for done in range(101) if pace.due("admit", done, 100)]
    assert fast == [100]


def test_a_very_long_stretch_is_never_silent_for_long_while_it_gets_on() -> None:
    clock = Clock()
    pace = Pace(clock)
    due = []
    for done in range(8):
        clock.now = 100.0 * done
        due += [done] if pace.due("coach", done, 1000) or pace.due("coach", done, 1000) else []
    assert due == [2, 4, 6]


def test_an_empty_stretch_is_told_once() -> None:
    pace = Pace(Clock())
    assert pace.due("select", 0, 0)
    assert not pace.due("select", 0, 0)


def test_a_log_gets_one_line_per_node_and_says_what_was_left(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars(clock=Clock()) as bars:
        for done in (0, 1, 2):
            bars(event("generate", done, 2))
        bars(event("select", 24, 67))
        bars(event("coach", 24, 24, cost=1.5))
        bars(event("generate", 1, 2, round_=1))
    assert capsys.readouterr().err.splitlines() == [
        "round 1 generate: 2 conversations (1,234 calls)",
        "round 1 select: 24 of 67 states chosen (1,234 calls)",
        "round 1 coach: 24 states coached (1,234 calls · $1.50)",
        "round 2 generate: 1 of 2 conversations (1,234 calls)",
    ]


def more(done: int, total: int) -> Event:
    return Event(node="admit", round=0, done=done, total=total, calls=7, cost_usd=0.0, what="more conversations")


def test_other_units_of_a_node_are_a_stretch_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars(clock=Clock()) as bars:
        for each in (more(0, 2), more(2, 2), event("admit", 0, 40), event("admit", 40, 40)):
            bars(each)
    assert capsys.readouterr().err.splitlines() == [
        "round 1 admit: 2 more conversations (7 calls)",
        "round 1 admit: 40 test replies (1,234 calls)",
    ]


def test_a_bar_names_the_units_it_counts_now(terminal: io.StringIO) -> None:
    with Bars() as bars:
        bars(more(1, 2))
        bars._progress.refresh()
        assert "more conversations" in terminal.getvalue()
        bars(event("admit", 1, 40))
    assert "1/1 test replies" in terminal.getvalue()


def test_quiet_says_nothing_and_a_stopped_run_tells_no_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars(quiet=True) as bars:
        bars(event("generate", 2, 2))
    with StudyBar("2 arms", quiet=True) as bar:
        bar(2, 2)
    stopped = Bars(clock=Clock())
    stopped(event("generate", 1, 2))
    stopped.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_the_round_and_one_line_for_each_that_is_over(terminal: io.StringIO) -> None:
    with Bars() as bars:
        bars(event("generate", 24, 24))
        bars(event("select", 12, 40))
        bars(event("examine", 8, 8))
        bars(event("generate", 3, 24, round_=1))
        bars(event("select", 4, 9, round_=1))
    shown = terminal.getvalue()
    assert "round 1: 24 conversations, 12 states chosen, 8 dev conversations (1,234 calls)" in shown
    assert "2 generate" in shown
    assert "3/3" in shown, "a node that is over is full, whatever it had looked at"
    assert "4/4" in shown


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_bar_is_cut_or_wider_than_the_terminal(width: int, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=terminal, force_terminal=True, width=width, color_system=None, legacy_windows=False)
    monkeypatch.setattr(progress, "err", console)
    with Bars() as bars:
        bars(event("consolidate", 10_000, 10_000))
    with StudyBar("4 arms, 40 dev personas, 3 seeds") as bar:
        bar(400, 480)
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in terminal.getvalue().replace("\r", "\n").splitlines()]
    assert any("10000/10000" in line for line in lines)
    assert any("400/480" in line for line in lines)
    assert all(len(line) <= width and "…" not in line for line in lines)


def test_a_study_in_a_log_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with StudyBar("4 arms", clock=clock) as bar:
        for done in range(11):
            bar(done, 10)
            clock.now += 9
    assert capsys.readouterr().err.splitlines() == [
        "evaluate: 2 of 10 conversations (4 arms)",
        "evaluate: 4 of 10 conversations (4 arms)",
        "evaluate: 6 of 10 conversations (4 arms)",
        "evaluate: 8 of 10 conversations (4 arms)",
        "evaluate: 10 of 10 conversations (4 arms)",
    ]


def test_what_is_no_usual_unit_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with StudyBar("2 entries", command="revalidate", units="replies") as bar:
        bar(8, 8, "more openings")
        bar(8, 8)
    assert capsys.readouterr().err.splitlines() == [
        "revalidate: 8 of 8 more openings (2 entries)",
        "revalidate: 8 of 8 replies (2 entries)",
    ]
