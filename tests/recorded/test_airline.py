"""A library from the airline's recorded dialogues: figures of the source, and nothing of a test task in it. Skips where they are not."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.airline import ADAPTER, FILES, build_pack, found_in_test, from_test, import_and_teach, lines_with_splits, settings_for, student
from strategist.domains.validate import validate_pack
from strategist.loop.runner import Finished
from strategist.models import open as models_open
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.open import register_adapter
from strategist.project import Project, open_project
from strategist.recorded.importing import Imported, by_split, pass_hats

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "airline"

pytestmark = pytest.mark.skipif(not all((DATA / name).exists() for name in FILES), reason="the airline's dialogues are not here")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Imported, Finished]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models_open, "_adapters", dict(models_open._adapters))
        register_adapter(ADAPTER, lambda settings: ScriptedModel("scripted", student))
        folder = tmp_path_factory.mktemp("airline")
        with open_project(settings_for(folder, build_pack(folder, DATA), 2)) as project:
            yield project, *asyncio.run(import_and_teach(project, lines_with_splits(DATA)))


def test_the_temporary_pack_is_a_pack(tmp_path: Path) -> None:
    assert [fault for fault in validate_pack(build_pack(tmp_path, DATA)) if fault.severity == "error"] == []


def test_200_dialogues_come_in_as_they_are(taught: tuple[Project, Imported, Finished]) -> None:
    _, done, _ = taught
    assert (len(done.traces), done.new, done.changed) == (200, 200, 0)
    assert [round(one.estimate.mean, 3) for one in pass_hats(done.traces)] == [0.420, 0.273, 0.220, 0.200]
    assert all(one.estimate.n == 50 and one.estimate.low < one.estimate.mean < one.estimate.high for one in pass_hats(done.traces))
    splits = by_split(done.traces)
    assert splits["test"] == 80
    assert splits["train"] + splits["dev"] == 120
    assert sum(trace.outcome is not None and trace.outcome.goal for trace in done.traces) == 84
    calls = sum(len(step.tool_calls) for trace in done.traces for message in [trace.messages] for step in message)
    answers = Counter(message.role for trace in done.traces for message in trace.messages)["tool"]
    assert calls == answers  # each call with the result behind it


def test_nobody_can_be_told_from_what_was_kept(taught: tuple[Project, Imported, Finished]) -> None:
    project, _, _ = taught
    raw = b"".join(path.read_bytes() for path in sorted(project.store.path.parent.glob("*.db*")))
    for personal in (b"mia_li_3668", b"mia.li3818@example.com", b"975 Sunset Drive", b"1990-04-05"):
        assert personal not in raw


def test_a_library_is_taught_and_says_something_in_dialogues_it_never_saw(taught: tuple[Project, Imported, Finished]) -> None:
    project, _, finished = taught
    entries = project.library.entries()
    assert finished.stop in ("rounds", "no_progress")
    assert len({entry.strategies[0].text for entry in entries}) >= 2
    found = asyncio.run(found_in_test(project))
    assert found.states > 400
    assert found.right > 0.4 * found.failing


def test_nothing_of_a_test_task_is_in_any_entry(taught: tuple[Project, Imported, Finished]) -> None:
    project, _, _ = taught
    entries = project.library.entries()
    assert entries
    assert from_test(project, entries) == []
    test = next(trace for trace in project.store.traces("recorded") if trace.persona.startswith("test-"))
    key = entries[0].keys[0].model_copy(update={"persona": test.persona, "scenario": f"{test.id}.0"})
    assert from_test(project, [entries[0].model_copy(update={"keys": (key,)})])  # the check can fail
