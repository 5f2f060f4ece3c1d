"""README and docs keep their promises: what they show is run, what they name exists, and their tables are what the code says.

The rules for writers stand in docs/index.md. A reader would start a model server; here `with_a_simulated_model` does instead, and makes
runs small. Everything else is run as it is written, page by page, in a fresh folder.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
import typer
from pydantic import ValidationError

from strategist.cli.main import app
from strategist.domains.pack import find_domain
from strategist.lab.domain import lab_domain
from strategist.lab.worlds import load_world
from strategist.placement import place
from strategist.project import open_project
from strategist.records.base import Record
from strategist.records.chat import Message
from strategist.records.evidence import Evidence
from strategist.records.library import Entry, Key, Strategy
from strategist.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
SHELL = ("bash", "sh")
SMALL = "[teach]\nrounds = 1\nconversations = 4\nscenarios = 4\ncandidates = 2\ndev_personas = 2\nmax_turns = 2\n"


class Block(NamedTuple):
    """A fenced block: where it begins, its language, the file that it is, the reason for which it is not run, the sample that it is."""

    where: str
    language: str
    text: str
    file: str
    not_run: str
    sample: str


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    found, before = [], ""
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), start=1))
    for number, line in lines:
        if opened := re.fullmatch(r"```(\w*)", line):
            inside = []
            for _, text in lines:
                if text == "```":
                    break
                inside.append(text)
            marks = [re.fullmatch(pattern, before) for pattern in (r"`([\w./-]+)`", r"<!-- not run: (.+) -->", r"<!-- sample: (.+) -->")]
            file, not_run, sample = (mark[1] if mark else "" for mark in marks)
            found.append(Block(f"{page.name}:{number}", opened[1], "\n".join(inside) + "\n", file, not_run, sample))
        before = line.strip() or before
    return found


ALL = [block for page in PAGES for block in blocks_of(page)]


def shell(script: str, folder: Path, where: str = "") -> tuple[str, Path]:
    """Run a script in a folder; its output, and the folder it ends in. Fails the test with the output if it fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "COLUMNS": "160", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{script}\npwd > {shlex.quote(str(folder / '.ended'))}"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{where}: exit code {done.returncode}\n{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout, Path((folder / ".ended").read_text(encoding="utf-8").strip())


def with_a_simulated_model(folder: Path) -> None:
    """What a reader does by starting a server: in settings that name one, a simulated student takes its place, in small runs."""
    for path in folder.rglob("strategist.toml"):
        text = path.read_text(encoding="utf-8")
        if 'adapter = "openai"' in text:
            text = text.replace('adapter = "openai"', 'adapter = "lab"').replace('model = "student"', 'model = "specific/student"')
            path.write_text(re.sub(r"^\[teach\].*\n", SMALL, text, flags=re.MULTILINE), encoding="utf-8")


def run_page(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Do what a page says, in order; returns the folder in which its commands ended."""
    at = folder
    for block in blocks_of(page):
        if block.file:
            (at / block.file).parent.mkdir(parents=True, exist_ok=True)
            (at / block.file).write_text(block.text, encoding="utf-8")
        elif block.language in SHELL and not block.not_run:
            _, at = shell(block.text, at, block.where)
            with_a_simulated_model(folder)
        elif block.language == "python":
            monkeypatch.chdir(at)
            exec(compile(block.text, block.where, "exec"), {"__name__": "__main__"})
    return at


@pytest.mark.parametrize("name", NAMES)
def test_what_a_page_shows_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run_page(ROOT / name, tmp_path, monkeypatch)
    if any(block.language == "python" and not block.file for block in blocks_of(ROOT / name)):
        assert capsys.readouterr().out.strip()


def test_a_domain_made_from_the_docs_is_taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page(ROOT / "docs" / "domains.md", tmp_path, monkeypatch)
    shell("strategist init --domain bakery", tmp_path)
    with_a_simulated_model(tmp_path)
    out, _ = shell("strategist teach --quiet && strategist report", tmp_path)
    assert "all planned rounds are done" in out
    assert "Crumb" in next(tmp_path.rglob("report-*.html")).read_text(encoding="utf-8")


# Commands that are not run, and commands in sentences


def commands_in(text: str) -> list[list[str]]:
    """The simple commands of a script: comments, pipes, conjunctions and assignments in front are taken apart."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"\|\||&&|[|;]", line):
            words = shlex.split(part, comments=True)
            while words and re.fullmatch(r"\w+=.*", words[0]):
                words.pop(0)
            if words:
                found.append(words)
    return found


def fault_in(words: list[str]) -> str:
    """What is wrong with a command, or nothing. Knows the program's own commands, make, pip and python -m."""
    if words[0] == "strategist":
        return _fault_in_ours(words[1:])
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for word in words[1:]:
            wanted = rf"\$\((?:if \$\()?{word.split('=')[0]}\)" if "=" in word else rf"^{re.escape(word)}:"
            if not re.search(wanted, makefile, re.MULTILINE):
                return f"make knows no {word}"
        return ""
    if words[:2] == ["pip", "install"]:
        return _fault_in_install(words[-1])
    if words[:2] == ["python", "-m"]:
        return "" if importlib.util.find_spec(words[2]) else f"there is no module {words[2]}"
    return f"nobody checks the command {words[0]}"


def _fault_in_ours(words: list[str]) -> str:
    command: object = typer.main.get_command(app)
    rest = list(words)
    while isinstance(known := getattr(command, "commands", None), dict) and rest and not rest[0].startswith("-"):
        if rest[0] not in known:
            return f"there is no command strategist {' '.join(words)}"
        command = known[rest.pop(0)]
    options = {name for parameter in getattr(command, "params", ()) for name in parameter.opts} | {"--help"}
    unknown = [word for word in rest if word.startswith("-") and word.split("=")[0] not in options]
    return f"strategist {' '.join(words)}: unknown option {unknown[0]}" if unknown else ""


def _fault_in_install(wanted: str) -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = re.fullmatch(r"([\w.-]+)(?:\[([\w,-]+)\])?", wanted)
    if found is None or found[1] not in (project["name"], "."):
        return f"{wanted} is not this project"
    extras = set((found[2] or "").split(",")) - {""}
    return "" if extras <= project["optional-dependencies"].keys() else f"{wanted}: unknown extra"


def test_commands_that_are_not_run_are_right() -> None:
    faults = [
        f"{block.where}: {fault}"
        for block in ALL
        if block.language in SHELL and block.not_run
        for words in commands_in(block.text)
        if (fault := fault_in(words))
    ]
    assert faults == []


def test_commands_in_sentences_are_right() -> None:
    faults = []
    for page in PAGES:
        prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for code in re.findall(r"`((?:strategist|make|pip install|python -m) [^`]+)`", prose):
            faults += [f"{page.name}: {fault}" for words in commands_in(code) if (fault := fault_in(words))]
    assert faults == []


@pytest.mark.parametrize(
    "command",
    [
        "strategist tech",
        "strategist teach --fast",
        "strategist library lst",
        "make dmeo",
        "make demo-real GUFF=a",
        "pip install strategst",
        "pip install 'strategist-llm[gpu]'",
        "python -m evals.nothing",
        "rm -rf x",
    ],
)
def test_a_wrong_command_would_be_found(command: str) -> None:
    assert [fault for words in commands_in(command) if (fault := fault_in(words))]


# Names and links


def test_links_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            file, _, anchor = target.partition("#")
            if target.startswith(("http:", "https:")):
                continue
            at = (page.parent / file).resolve() if file else page
            if not at.exists() or (anchor and anchor not in _anchors(at)):
                broken.append(f"{page.name}: {target}")
    assert broken == []


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}


def test_files_that_are_named_exist() -> None:
    missing = []
    for page in PAGES:
        for name in re.findall(r"`((?:strategist|docs|tests|evals|notebooks|scenarios)/[\w./-]+)`", page.read_text(encoding="utf-8")):
            if not (ROOT / name).exists():
                missing.append(f"{page.name}: {name}")
    assert missing == []


def test_every_page_is_listed() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if page.name != "index.md" and f"({page.name})" not in index] == []


def test_blocks_say_what_they_are() -> None:
    known = {*SHELL, "python", "toml", "text"}
    assert [block.where for block in ALL if block.language not in known and not block.file] == []


# Settings


def test_settings_that_are_shown_can_be_read(tmp_path: Path) -> None:
    shown = [block for block in ALL if block.language == "toml" and block.file in ("", "strategist.toml")]
    assert shown
    for block in shown:
        path = tmp_path / "strategist.toml"
        path.write_text(block.text, encoding="utf-8")
        load_settings(path)


Rows = dict[str, tuple[str, bool]]
SECTIONS: tuple[tuple[str, str], ...] = (("Top level", ""), *((f"[{name}]", name) for name in Settings.model_fields if "_" not in name))


def table_of(title: str) -> Rows:
    """Key -> (default as it is written, whether it is marked with a star) of one section of settings.md; empty if there is none."""
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    part = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `(\w+)`( \*)? \| (.+?) \| ", part[1] if part else "", re.MULTILINE)
    return {key: (default, bool(star)) for key, star, default in rows}


def section_of(settings: Settings, name: str) -> Record:
    found = getattr(settings, name) if name else settings
    assert isinstance(found, Record)
    return found


def sections() -> list[tuple[str, str]]:
    return [(title, name) for title, name in SECTIONS if not name or isinstance(getattr(Settings(), name), Record)]


def keys_of(name: str) -> list[str]:
    """Keys of a section that stand in its table: for the top level those that are no sections, without `folder`, which is no key."""
    record = section_of(Settings(), name)
    return [key for key in type(record).model_fields if key != "folder" and not isinstance(getattr(record, key), Record)]


@pytest.mark.parametrize(("title", "name"), sections())
def test_the_tables_of_settings_are_the_settings(title: str, name: str) -> None:
    table = table_of(title)
    assert list(table) == keys_of(name)
    plain = section_of(Settings(), name).model_dump(mode="json")
    for key, (default, _) in table.items():
        assert (None if default == "none" else tomllib.loads(f"x = {default.strip('`')}")["x"]) == plain[key], f"{title} {key}"


@pytest.mark.parametrize(("title", "name"), sections())
def test_the_stars_are_what_decides_what_is_learned(title: str, name: str) -> None:
    for key, (_, star) in table_of(title).items():
        changed = with_another_value(name, key)
        assert (changed.learning_hash != Settings().learning_hash) == star, f"{title} {key}"


def with_another_value(name: str, key: str) -> Settings:
    """Settings that differ from the defaults in one key."""
    record = section_of(Settings(), name)
    values = (1, 2, 0.25, 300, "x", "lab", "text", "model", "scripted", "exact", "hashed", "approved", (0.25,), {"adapter": "lab"})
    for value in values:
        try:
            changed = type(record).model_validate({**record.model_dump(), key: value})
        except ValidationError:
            continue
        if changed != record:
            return Settings.model_validate(changed.model_dump() if not name else {name: changed.model_dump()})
    raise AssertionError(f"no other value for {key}")


# Samples


def sample(name: str) -> str:
    return next(block.text for block in ALL if block.sample == name)


def test_the_sample_of_library_list_is_what_the_command_prints(tmp_path: Path) -> None:
    cells = re.split(r" {2,}", sample("library list").splitlines()[1].strip())
    ref, status, round_, record, q, issue, line = cells
    world = load_world("specific")
    assert line == world.situation(issue).need.line
    wins, losses, ties = map(int, record.split("-"))
    entry = Entry(
        id=ref.split("@")[0], status="admitted", keys=(Key(scenario="s", persona="p", issue=issue, text="k"),),
        strategies=(Strategy(text=line),), domain="lab_specific", brief_hash=lab_domain(world).brief_hash,
        student="s", advisor="handbook", round=int(round_) - 1,
        evidence=Evidence(decision="admitted", wins=wins, losses=losses, ties=ties, q=float(q)),
    )  # fmt: skip
    settings = tmp_path / "strategist.toml"
    settings.write_text('domain = "lab:specific"\n[retrieval]\nembedder = "hashed"\n', encoding="utf-8")
    with open_project(load_settings(settings)) as project:
        project.library.add([entry], actor="test", reason="sample", marker="sample")
    out, _ = shell("strategist library list", tmp_path)
    assert status == "admitted"
    assert [row.split() for row in out.splitlines()[:2]] == [row.split() for row in sample("library list").splitlines()]


def test_the_sample_of_guidance_is_what_is_placed() -> None:
    said, _, block = sample("guidance").partition("\n\n")
    lines = [line.removeprefix("- ") for line in block.splitlines() if line.startswith("- ")]
    assert place([Message(role="user", content=said)], lines)[0].content == sample("guidance").rstrip("\n")


def test_the_lines_of_parcel_are_lines_of_parcel() -> None:
    handbook = find_domain("parcel", ROOT).handbook
    quoted = re.findall(r"<!-- sample: parcel handbook -->\n> (.+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    placed = re.findall(r"^- (.+)$", sample("guidance"), re.MULTILINE)
    assert quoted
    assert {*quoted, *placed} <= set(handbook)
