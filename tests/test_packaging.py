"""What `pip install` ships: the wheel carries the domain packs, the sdist can build it, an editable install finds the repository's."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from strategist.domains.pack import builtin_packs

ROOT = Path(__file__).parents[1]


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and sdist; the wheel is built from the sdist, as an index would."""
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT), cwd=folder)
    return folder


def test_an_editable_install_finds_the_repositorys_packs() -> None:
    assert builtin_packs()["parcel"] == ROOT / "scenarios" / "parcel"


def test_the_sdist_holds_sources_packs_tests_and_docs(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "strategist/cli/main.py", "scenarios/parcel/brief.md", "docs/method.md", "Makefile"} <= names


def test_the_wheel_ships_packs_prompts_templates_and_types(built: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path)
    pack = {f"strategist/scenarios/parcel/{name}" for name in ("domain.toml", "brief.md", "personas.jsonl", "checks.py", "tools.py")}
    data = {"strategist/py.typed", "strategist/lab/worlds.toml", "strategist/evaluation/templates/report.html.j2"}
    assert pack | data <= names
    assert any(name.startswith("strategist/roles/prompts/agent.") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "evals/", "scenarios/")) or "__pycache__" in name]
    code = "from strategist.domains.pack import builtin_packs, load_domain as l; p = builtin_packs()['parcel']; print(p, l(p).title)"
    out = run("-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}", cwd=tmp_path)
    assert out.startswith(str(tmp_path / "strategist" / "scenarios" / "parcel"))
