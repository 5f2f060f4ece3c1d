"""The settings file: what `init` writes is what the program reads, and what is mistyped is answered with what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from strategist.errors import SettingsError
from strategist.records.base import Record
from strategist.settings import ModelSettings, Settings, load_settings
from tests.cli.commands import Cli, write_settings


def test_the_written_file_is_all_defaults(cli: Cli, tmp_path: Path) -> None:
    assert cli("init", tmp_path).code == 0
    assert load_settings(tmp_path / "strategist.toml") == Settings(folder=tmp_path.resolve())


def test_every_commented_line_is_a_setting_at_its_default_or_says_that_it_is_an_example(cli: Cli, tmp_path: Path) -> None:
    text = cli("init", "--print").out
    examples = [line for line in text.splitlines() if "# example" in line]
    assert len(examples) == 15
    everything = re.sub(r"(?m)^# (?=\w+ = |\[)", "", text)
    named = load_settings(write_settings(tmp_path, everything))
    assert named.advisor.model is not None
    assert named.customer.model is not None
    assert named.budget.calls == 2000
    plain = "\n".join(line for line in everything.splitlines() if "# example" not in line and ".model]" not in line)
    assert load_settings(write_settings(tmp_path, plain)) == Settings(folder=tmp_path.resolve())


def sections(model: type[Record] = Settings, name: str = "") -> Iterator[tuple[str, type[Record]]]:
    """All sections of the settings with their names, the top of the file first as ``."""
    yield name, model
    for key, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Record):
                yield from sections(kind, f"{name}.{key}" if name else key)


def shown(text: str) -> dict[str, tuple[str, set[str]]]:
    """Section -> what its heading says, and the keys that the file shows in it, commented out or not."""
    found: dict[str, tuple[str, set[str]]] = {"": ("", set())}
    at = ""
    for line in text.splitlines():
        if heading := re.match(r"(?:# )?\[([\w.]+)\](.*)", line):
            at = heading[1]
            found[at] = (heading[2], set())
        elif key := re.match(r"(?:# )?(\w+) = ", line):
            found[at][1].add(key[1])
    return found


def test_the_file_shows_every_setting_of_every_section(cli: Cli) -> None:
    found, wanted = shown(cli("init", "--print").out), dict(sections())
    assert found.keys() == wanted.keys()
    for name, model in wanted.items():
        says, keys = found[name]
        expected = {key for key in model.model_fields if key != "folder" and f"{name}.{key}".lstrip(".") not in wanted}
        if model is ModelSettings and name != "student":
            assert "takes every setting of [student]" in says
            assert keys <= expected
        else:
            assert keys == expected, name


@pytest.mark.parametrize(
    ("domain", "note"),
    [("parcel", ""), ("parcle", "did you mean `parcel`?"), ('my "own" [/red] pack', "there is no domain"), ("lab:one_line", "")],
)
def test_init_takes_any_domain_and_says_what_is_wrong_with_it(cli: Cli, tmp_path: Path, domain: str, note: str) -> None:
    ran = cli("init", tmp_path, "--domain", domain)
    assert ran.code == 0
    assert note in ran.err
    assert bool(ran.err) is bool(note)
    found = load_settings(tmp_path / "strategist.toml")
    assert found.domain == domain
    simulated = domain.startswith("lab:")
    assert (found.student.adapter, found.student.model) == (("lab", "one_line/student") if simulated else ("openai", "student"))
    assert ("model server" in ran.out) is not simulated


def test_init_names_the_folder_it_cannot_use(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--settings" not in cli("init").out
    assert "is a file" in cli("init", "strategist.toml").err
    assert "cannot write" in cli("init", "strategist.toml/sub").err
    assert "--domain is empty" in cli("init", "x", "--domain", " ").err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("domian = 'parcel'", "domian: unknown setting; did you mean 'domain'?"),
        ("[studnt]\nmodel = 'x'", "studnt: unknown setting; did you mean 'student'?"),
        ("[student]\ntemprature = 1", "[student] temprature: unknown setting; did you mean 'temperature'?"),
        ("[student]\nrounds = 1", "[student] rounds: unknown setting; it belongs to [teach]"),
        ("[teach]\nseed = 1", "[teach] seed: unknown setting; it belongs to the top of the file"),
        ("[advisor.model]\ntimout_s = 1", "[advisor.model] timout_s: unknown setting; did you mean 'timeout_s'?"),
        ("zzz = 1", "zzz: unknown setting"),
        ("[juror]\nkind = 'model'", "juror: unknown setting"),
        ("[customer]\nkind = 'none'", "[customer] kind is 'none'; it must be 'scripted' or 'model'"),
        (
            "[student]\nadapter = 'opnai'",
            "[student] adapter is 'opnai'; it must be 'openai' or 'litellm' or 'embedded' or 'lab'; did you mean 'openai'?",
        ),
        ("[student]\nadapter = 7", "[student] adapter is 7; it must be 'openai' or 'litellm' or 'embedded' or 'lab'"),
        ("student = 3", "student is 3; it must be a section: [student]"),
        ("[advisor]\nmodel = 'x'", "[advisor] model is 'x'; it must be a section: [advisor.model]"),
        ("[student]\nmax_tokens = 'many'", "[student] max_tokens: Input should be a valid integer"),
        ("folder = 'x'", "folder: unknown setting"),
    ],
)
def test_a_mistyped_setting_is_answered_with_what_was_meant(tmp_path: Path, text: str, says: str) -> None:
    path = write_settings(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    (line,) = caught.value.message.splitlines()
    assert line.startswith(f"{path}: {says}")
    assert line.endswith(says) or "(got" in line
    assert caught.value.hint


def test_all_faults_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    path = write_settings(tmp_path, "[student]\nmodle = 'x'\n[teach]\nrounds = 0\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert len(caught.value.message.splitlines()) == 2
