"""`strategist demo`: teach a simulated student from nothing, compare the arms, write the report; the last line is the lift."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from rich.text import Text

from strategist.cli.console import err, out, plural, say
from strategist.cli.evaluate import print_arms, study
from strategist.cli.files import write_text
from strategist.cli.report import write
from strategist.cli.teach import catch_up, teach_with_bars
from strategist.errors import SettingsError
from strategist.evaluation.study import compare, contrasts, summarise
from strategist.project import RUN_LOCK, open_project
from strategist.records.library import SERVABLE
from strategist.records.run import ArmOutcome, StudyArm
from strategist.settings import load_settings
from strategist.store.lock import hold

ARMS: tuple[StudyArm, ...] = ("bare", "handbook", "random", "library")
MARK = "# written by `strategist demo`"
LOCK = "demo.lock"

LAB_SETTINGS = f"""{MARK}: simulated models, known best library
domain = "lab:specific"
seed = 5                            # of the seeds 0 to 5, one in the middle (docs/results.md)

[student]
adapter = "lab"
model = "specific/student"
max_in_flight = 32

[teach]
conversations = 60
scenarios = 60
candidates = 24
dev_personas = 40

[retrieval]
embedder = "hashed"
"""


def run(folder: Path, *, seeds: int) -> None:
    """The command."""
    start = time.monotonic()
    check_folder(folder)
    with hold(folder / LOCK):
        settings = prepare(folder, LAB_SETTINGS, fresh=True)
        out.print(Text.assemble(("These models are simulated", "bold"), " (the lab world `specific`): every situation needs its own line."))
        say("The student does not know them; watch the loop find, test and keep them.\n")
        with open_project(load_settings(settings)) as project, project.at_work():
            run_info = project.choose_run(resume=False, new=False)
            teach_with_bars(project, run_info, quiet=False, again="the same command starts the demo again")
            catch_up(project)
            outcomes = study(project, ARMS, seeds=seeds, quiet=True)
            print_arms(summarise(outcomes), contrasts(outcomes))
            entries = project.library.entries(SERVABLE)
            say(f"\n{plural(len(entries), 'tested entry', 'tested entries')} in {time.monotonic() - start:.0f} s")
            write(project)
            say(f"look at them: strategist library list --settings {settings}", "dim")
            say("These models were simulated. With a real one: `make demo-real` coaches a 1.5B on this CPU;", "dim")
            say("with your own bot: `strategist init`, then `strategist teach`.", "dim")
            last_line(outcomes)


def check_folder(folder: Path) -> None:
    """Raise SettingsError for a folder that is not the demo's own or new."""
    path = folder / "strategist.toml"
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder} is a file", hint="pass another --folder")
    foreign = not path.exists() and (folder / ".strategist").exists()
    if foreign or (path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(MARK)):
        raise SettingsError(f"{folder} holds a project that was not written by the demo", hint="pass another --folder")


def prepare(folder: Path, text: str, *, fresh: bool) -> Path:
    """Write the demo's settings into a folder of its own; `fresh` starts from nothing. Refuses a folder that is not the demo's."""
    check_folder(folder)
    if fresh:
        with hold(folder / ".strategist" / RUN_LOCK):  # somebody may be evaluating what is to be thrown away
            shutil.rmtree(folder / ".strategist", ignore_errors=True)
    path = folder / "strategist.toml"
    write_text(path, text)
    return path


def last_line(outcomes: tuple[ArmOutcome, ...]) -> None:
    """`lift +0.NN [low, high] n=... seeds=...`: library over bare, on dev."""
    found = compare(outcomes, "library", "bare")
    if found.lift is None:
        say("no lift can be stated: fewer than two personas finished in both arms", to=err)
        return
    say(found.line)
