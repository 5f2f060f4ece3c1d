from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import pytest

from strategist.cli.main import main
from strategist.lab.optimum import known_best
from strategist.lab.worlds import load_world
from strategist.project import open_project
from strategist.records.evidence import Evidence
from strategist.settings import load_settings
from tests.cli.commands import SETTINGS, Cli, Ran, write_settings


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command in this process."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*args: str | Path, stdin: str | bytes | None = None) -> Ran:
        if stdin is not None:
            raw = stdin if isinstance(stdin, bytes) else stdin.encode()
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Ran(int(end.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one finished run. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("taught")
    settings = write_settings(folder, SETTINGS.format(seed=0))
    with pytest.raises(SystemExit) as end:
        main(["teach", "--quiet", "--settings", str(settings)])
    assert not end.value.code
    return folder


@pytest.fixture
def project(taught: Path, tmp_path: Path) -> Path:
    """A copy of the taught project, with the world's best library in it: its settings file."""
    shutil.copytree(taught, tmp_path / "copy")
    settings = tmp_path / "copy" / "strategist.toml"
    evidence = Evidence(decision="admitted", wins=9, losses=1, ties=8, p=0.01, q=0.02, replies=44)
    best = [e.model_copy(update={"status": "admitted", "evidence": evidence}) for e in known_best(load_world("specific")).entries]
    with open_project(load_settings(settings)) as opened:
        opened.library.add(best, actor="test", reason="known best", marker="test")
    return settings
