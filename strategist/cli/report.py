"""`strategist report`: gather one run and write its page."""

from __future__ import annotations

from pathlib import Path

from strategist.cli.console import out
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
    last = project.last_run()
    if last is None:
        raise SettingsError("there is no run to report on", hint="run `strategist teach` first")
    name = run_id or last.id
    path = target or project.settings.database_path.parent / f"report-{name}.html"
    write_report(gather(project.store, name, project.domain, command=f"strategist report --run {name}"), path)
    out.print(f"report: {path}", highlight=False, soft_wrap=True)
    return path
