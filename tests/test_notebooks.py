"""The notebooks run as they are stored: without an error, with their plots, and stored without output."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
PLOTS = {"01_teach_and_look.ipynb": (1, 2), "02_compare_arms.ipynb": (3, 2)}
"""How many SVG and PNG plots each notebook shows."""


@pytest.fixture(scope="module")
def quiet() -> None:
    """Jupyter's own packages warn at import about each other; that is none of our business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nbclient
        import nbformat

        assert nbclient
        assert nbformat


def read(name: str) -> Any:
    import nbformat

    return nbformat.read(FOLDER / name, as_version=4)  # type: ignore[no-untyped-call]


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def shown(found: Sequence[Any], kind: str) -> list[str]:
    return [output.data[kind] for output in found if kind in output.get("data", {})]


def said(found: Sequence[Any], stream: str) -> str:
    return "".join(output.text for output in found if output.output_type == "stream" and output.name == stream)


def test_all_notebooks_are_tested() -> None:
    assert sorted(path.name for path in FOLDER.glob("*.ipynb")) == sorted(PLOTS)


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.usefixtures("quiet")
def test_a_notebook_is_stored_clean(name: str) -> None:
    notebook = read(name)
    assert outputs(notebook) == []
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count is not None] == []
    assert max(len(cell.source.splitlines()) for cell in notebook.cells) <= 25


@pytest.mark.filterwarnings("ignore")  # sockets and loops of Jupyter's client; the notebook's own warnings are looked at below
@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.usefixtures("quiet")
def test_a_notebook_runs_and_shows_its_plots(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbclient

    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR", "TMPDIR"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    notebook = read(name)
    client = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    found = outputs(notebook)
    svg, png = shown(found, "image/svg+xml"), shown(found, "image/png")
    assert (len(svg), len(png)) == PLOTS[name]
    assert all("</svg>" in picture for picture in svg)
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") and len(picture) > 8_000 for picture in png)
    assert said(found, "stderr") == ""
    assert "entries" in said(found, "stdout") or "admitted" in said(found, "stdout")
