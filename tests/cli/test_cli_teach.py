"""`strategist teach` around the loop: which run, how its end is told, and what the end means for the exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from strategist.cli import teach as teach_
from strategist.loop.deps import Deps
from strategist.loop.deps import Progress as Event
from strategist.loop.runner import Finished
from strategist.project import open_project
from strategist.records.chat import Message, ModelRequest
from strategist.records.run import Overrun, StopReason
from strategist.retrieval.embed import EmbedderChoice, open_embedder
from strategist.settings import RetrievalSettings, load_settings
from strategist.store.calls import OVERRUN
from tests.cli.commands import Cli, write_settings


class Loop:
    """Stands in for the loop: notes the settings it was started with and ends as it is told."""

    def __init__(self, stop: StopReason | None = "rounds", error: str = "") -> None:
        self.stop, self.error = stop, error
        self.raises: BaseException | None = None
        self.rounds: list[tuple[str, int]] = []

    async def teach(self, deps: Deps, checkpoints: Path, on_progress: Callable[[Event], None]) -> Finished:
        self.rounds.append((deps.run.id, deps.settings.teach.rounds))
        if self.raises is not None:
            raise self.raises
        info = deps.run.model_copy(update={"stop": self.stop})
        deps.store.put_run(info)
        return Finished(**info.model_dump(), error=self.error)


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    found = Loop()
    monkeypatch.setattr(teach_, "teach", found.teach)
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return write_settings(tmp_path)


@pytest.mark.parametrize(
    ("stop", "says"),
    [
        ("rounds", "all planned rounds are done; 0 entries in the library"),
        ("parity", "reached the teacher"),
        ("no_progress", "brought nothing new"),
        ("nothing_to_teach", "no state had a gap"),
    ],
)
def test_an_end_of_its_own_is_success(stop: StopReason, says: str, loop: Loop, cli: Cli, settings: Path) -> None:
    loop.stop = stop
    ran = cli("teach", "-s", settings)
    assert ran.code == 0
    assert ran.out.startswith("run-001: ")
    assert says in ran.out
    assert "run-001 begins: Lindenbaum Furniture; student lab:specific/student, advisor handbook, at most 1 round\n" in ran.err
    assert "next:" in ran.out


@pytest.mark.parametrize(
    ("stop", "error", "says"),
    [
        ("budget", "the budget is used up\n  raise it", "everything up to here is kept: the budget is used up\n  raise it\n"),
        ("server", "cannot reach it", "everything up to here is kept: cannot reach it\n"),
        (None, "", "everything up to here is kept: it ended without a reason\n"),
    ],
)
def test_an_end_from_outside_is_one_error_and_tells_how_to_go_on(
    stop: StopReason | None, error: str, says: str, loop: Loop, cli: Cli, settings: Path
) -> None:
    loop.stop, loop.error = stop, error
    ran = cli("teach", "-q", "-s", settings)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"error: run-001 stopped, {says}  `strategist teach --resume --settings {settings}` goes on from here\n"


@pytest.mark.parametrize("over", [Overrun(tokens=1), Overrun(tokens=12, usd=0.25), Overrun(usd=0.25)])
def test_what_servers_billed_beyond_the_bounds_is_said(over: Overrun, loop: Loop, cli: Cli, settings: Path) -> None:
    cli("teach", "-q", "-s", settings)
    with open_project(load_settings(settings)) as project:
        project.store.put_document("run-002", OVERRUN, "1", 0, 1, over)
    ran = cli("teach", "-q", "-s", settings)
    assert ran.code == 0
    tokens = "1 token" if over.tokens == 1 else f"{over.tokens} tokens"
    said = f"note: model servers billed {tokens} and ${over.usd:.4f} more than calls may take at most; they count in the budget\n"
    assert ran.err == said


def test_ctrl_c_has_its_own_code(loop: Loop, cli: Cli, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(settings.parent)
    loop.raises = KeyboardInterrupt()
    ran = cli("teach", "-q")
    assert (ran.code, ran.err) == (130, "run-001 stopped; nothing is lost\n  `strategist teach --resume` goes on from here\n")


def test_a_resumed_run_keeps_the_number_of_rounds_it_was_started_with(loop: Loop, cli: Cli, settings: Path) -> None:
    loop.stop = "budget"
    cli("teach", "-q", "--rounds", "7", "-s", settings)
    send_a_call(settings)
    assert cli("teach", "-q", "--resume", "-s", settings).code == 1
    assert cli("teach", "-q", "--resume", "--rounds", "8", "-s", settings).code == 2
    assert loop.rounds == [("run-001", 7), ("run-001", 7)]


def send_a_call(settings: Path) -> None:
    """A run that has sent a call has begun."""
    with open_project(load_settings(settings)) as project:
        request = ModelRequest(messages=(Message(role="user", content="Hi"),))
        project.calls.begin(
            key="k", run="run-001", attempt=1, role="student", model="m", purpose="generate", sample=0, seed=0, request=request
        )


def test_options_that_exclude_each_other(loop: Loop, cli: Cli, settings: Path) -> None:
    ran = cli("teach", "--resume", "--new", "-s", settings)
    assert (ran.code, "exclude each other" in ran.err) == (2, True)
    assert loop.rounds == []


def test_another_embedder_than_wished_for_is_said(loop: Loop, cli: Cli, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(settings: RetrievalSettings, language: str) -> EmbedderChoice:
        return open_embedder(settings, language)._replace(notice="[retrieval] names better ones")

    monkeypatch.setattr("strategist.project.open_embedder", opened)
    ran = cli("teach", "-s", settings)
    assert "[retrieval] names better ones\n" in ran.err
    assert cli("teach", "-q", "--new", "-s", settings).err == ""


def test_what_the_index_cannot_do_is_shown_and_stops_nothing(loop: Loop, cli: Cli, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(project: object) -> str:
        return "the index [/x] is damaged"

    monkeypatch.setattr("strategist.project.Project.catch_up", broken)
    ran = cli("teach", "-q", "-s", settings)
    assert (ran.code, ran.err) == (0, "the index [/x] is damaged\n")
