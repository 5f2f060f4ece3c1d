"""`strategist report`: gather one run and write its page."""

from __future__ import annotations

import difflib
from pathlib import Path

from strategist.cli.console import say
from strategist.errors import SettingsError
from strategist.evaluation.report import write_report
from strategist.evaluation.report_data import gather
from strategist.project import Project, open_project
from strategist.settings import load_settings


def run(path: Path, *, run_id: str | None, out: Path | None) -> None:
    """The command."""
    with open_project(load_settings(path)) as project:
        write(project, run_id, out)


def write(project: Project, run_id: str | None = None, target: Path | None = None) -> Path:
    """Write the report of a run (default: the last) and print its path."""
    known = [run.id for run in project.store.runs()]
    if not known:
        raise SettingsError("there is no run to report on", hint="run `strategist teach` first")
    name = run_id or known[-1]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        raise SettingsError(f"there is no run {name!r} in this project", hint=f"runs are {', '.join(near or known[-8:])}")
    path = target or project.settings.database_path.parent / f"report-{name}.html"
    if path.is_dir():
        path = path / f"report-{name}.html"
    write_report(gather(project.store, name, project.domain, command=f"strategist report --run {name}"), path)
    say(f"report: {path}")
    return path
