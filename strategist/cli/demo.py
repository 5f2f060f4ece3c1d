"""`strategist demo`: teach a simulated student from nothing, compare the arms, write the report; the last line is the lift."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from strategist.cli.console import err, out
from strategist.cli.evaluate import print_arms, study
from strategist.cli.report import write
from strategist.cli.teach import teach_with_bars
from strategist.errors import SettingsError
from strategist.evaluation.study import compare, contrasts, summarise
from strategist.project import open_project
from strategist.records.run import ArmName, ArmOutcome
from strategist.settings import load_settings

ARMS: tuple[ArmName, ...] = ("bare", "handbook", "random", "library")
MARK = "# written by `strategist demo`"

LAB_SETTINGS = f"""{MARK}: simulated models, known best library
domain = "lab:specific"

[student]
adapter = "lab"
model = "specific/student"
max_in_flight = 32

[teach]
dev_personas = 40

[retrieval]
embedder = "hashed"
"""


def run(folder: Path, *, seeds: int) -> None:
    """The command."""
    start = time.monotonic()
    settings = prepare(folder, LAB_SETTINGS, fresh=True)
    out.print(
        "[bold]These models are simulated[/bold] (the lab world [italic]specific[/italic]): every situation needs its own line of advice."
    )
    out.print("The student does not know them; watch the loop find, test and keep them.\n")
    with open_project(load_settings(settings)) as project:
        teach_with_bars(project, project.choose_run(resume=False, new=False), quiet=False)
        outcomes = study(project, ARMS, seeds=seeds, quiet=True)
        print_arms(summarise(outcomes), contrasts(outcomes))
        out.print(
            f"\n{len(project.library.entries(('admitted', 'approved')))} tested entries in {time.monotonic() - start:.0f} s",
            highlight=False,
        )
        write(project)
        out.print(
            "\nWith real models: `make demo-real` coaches a 1.5B on this CPU; your own bot: `strategist init`, then `strategist teach`.",
            style="dim",
            highlight=False,
        )
        last_line(outcomes)


def prepare(folder: Path, text: str, *, fresh: bool) -> Path:
    """Write the demo's settings into a folder of its own; `fresh` starts from nothing. Refuses a folder that is not the demo's."""
    path = folder / "strategist.toml"
    if path.exists() and not path.read_text(encoding="utf-8").startswith(MARK):
        raise SettingsError(f"{path} was not written by the demo", hint="pass another --folder")
    if fresh:
        shutil.rmtree(folder / ".strategist", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def last_line(outcomes: tuple[ArmOutcome, ...]) -> None:
    """`lift +0.NN [low, high] n=... seeds=...`: library over bare, on dev."""
    found = compare(outcomes, "library", "bare")
    if found.lift is None:
        err.print("no lift can be stated: fewer than two personas finished in both arms")
        return
    out.print(found.line, highlight=False)
