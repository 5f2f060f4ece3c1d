"""The entry point: what is loaded, where errors are printed, which code a command ends with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from strategist.cli import main as main_
from strategist.cli.main import main
from strategist.errors import RunInterruptedError, SettingsError
from tests.cli.commands import EXACT, Cli, start, write_settings

HEAVY = (
    "pydantic",
    "rich",
    "sqlalchemy",
    "numpy",
    "scipy",
    "openai",
    "httpx",
    "langgraph",
    "langchain_core",
    "chromadb",
    "jinja2",
    "matplotlib",
    "starlette",
    "uvicorn",
    "aiosqlite",
)


def loaded_by(code: str) -> set[str]:
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('|'.join(sys.modules), file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(ran.stderr.strip().split("|"))


@pytest.mark.parametrize("code", ["import strategist", "from strategist.cli.main import main; main(['--help'])"])
def test_help_and_import_load_nothing_heavy(code: str) -> None:
    loaded = loaded_by(code)
    assert "strategist" in loaded
    assert not loaded & set(HEAVY)
    assert not {name for name in loaded if name.startswith("strategist.")} - {
        "strategist.cli",
        "strategist.cli.main",
        "strategist.errors",
    }


def test_the_heavy_ones_would_be_noticed() -> None:
    assert {"pydantic", "sqlalchemy"} <= loaded_by("import strategist.project")


@pytest.mark.parametrize("words", [(), ("library",), ("domain",), ("lab",), ("teach",), ("purge",), ("library", "verify")])
def test_every_group_and_command_has_help_that_fits_80_columns(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        main([*words, "--help"])
    assert not end.value.code
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("Usage: strategist")
    assert not [line for line in lines[1:] if line.endswith("...")], "a summary was cut"
    assert "demo-worker" not in "\n".join(lines)


def test_a_group_alone_prints_its_help(cli: Cli) -> None:
    assert "verify" in cli("library").out + cli("library").err


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def app(args: object, prog_name: str) -> None:
        raise error

    monkeypatch.setattr(main_, "app", app)


@pytest.mark.parametrize(
    ("error", "code", "printed"),
    [
        (SettingsError("what [/b] is wrong", hint="do this\nor that"), 2, "error: what [/b] is wrong\n  do this\n  or that\n"),
        (RunInterruptedError("run-001 stopped", hint="go on"), 130, "run-001 stopped\n  go on\n"),
        (SystemExit(130), 130, "stopped\n"),
        (SystemExit(0), 0, ""),
        (OSError(28, "No space left on device", "x.db"), 1, "error: x.db: No space left on device\n  everything written so far is kept\n"),
        (OSError("odd"), 1, "error: odd\n  everything written so far is kept\n"),
    ],
)
def test_errors_are_printed_in_one_place(
    error: BaseException, code: int, printed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(error, monkeypatch)
    with pytest.raises(SystemExit) as end:
        main([])
    assert (end.value.code or 0) == code
    captured = capsys.readouterr()
    assert (captured.err, captured.out) == (printed, "")


def test_a_bug_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(ZeroDivisionError("ours"), monkeypatch)
    with pytest.raises(ZeroDivisionError):
        main([])


def test_streams_that_are_no_text_files_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    raising(SystemExit(0), monkeypatch)
    with pytest.raises(SystemExit):
        main([])


def test_a_pipe_gets_whole_lines_without_colour(tmp_path: Path) -> None:
    settings = write_settings(tmp_path / ("a very long name of a folder " * 4).strip(), EXACT)
    process = start("report", "-s", settings, cwd=tmp_path)
    out, _ = process.communicate(timeout=60)
    assert out == "error: there is no run to report on\n  run `strategist teach` first\n"


def test_a_pipe_that_closes_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "strategist.cli.main", "init", "--print"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


def test_a_terminal_without_unicode_gets_question_marks_and_no_traceback(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.reconfigure(encoding='ascii'); from strategist.cli.main import main; main()"
    process = start("init", "--domain", "päckchen", "--print", cwd=tmp_path, code=code)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert 'domain = "p?ckchen"' in out


def test_the_lab_is_served_where_asked(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr("strategist.lab.server.run_server", lambda host, port: asked.append((host, port)))
    assert "specific/student" in cli("lab", "serve", "--port", "8123").err
    assert asked == [("127.0.0.1", 8123)]
    for port in ("0", "65536", "http"):
        assert cli("lab", "serve", "--port", port).code == 2


def test_a_port_that_is_taken_is_one_clear_error(cli: Cli) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = cli("lab", "serve", "--port", str(taken.getsockname()[1]))
    assert (ran.code, "choose another port" in ran.err) == (1, True)
