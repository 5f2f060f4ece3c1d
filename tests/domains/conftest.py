"""The pack of docs/domains.md, written into a folder: the tests of this layer start from what the docs teach."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "domains.md"
TITLED_BLOCK = re.compile(r"^`bakery/([\w.]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)

Edit = Callable[[str, str, str], None]


@pytest.fixture
def bakery(tmp_path: Path) -> Path:
    folder = tmp_path / "bakery"
    folder.mkdir()
    for name, text in TITLED_BLOCK.findall(DOCS.read_text(encoding="utf-8")):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def edit(bakery: Path) -> Edit:
    """Replace one text in one file of the pack; the text must be there."""

    def replace(name: str, old: str, new: str) -> None:
        text = (bakery / name).read_text(encoding="utf-8")
        assert old in text
        (bakery / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return replace
