"""docs/lab.md: its snippets run, and its table is what the code computes."""

import re
from pathlib import Path

import pytest

from strategist.lab.optimum import LabArm, expected, expected_random
from strategist.lab.worlds import World

TEXT = (Path(__file__).parents[2] / "docs" / "lab.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ARMS: tuple[LabArm, ...] = ("bare", "best", "handbook", "one_line", "twin")


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippets_run(snippet: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(snippet, "docs/lab.md", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_the_table_is_what_the_code_computes(worlds: dict[str, World]) -> None:
    rows = [row.strip("| ").split(" | ") for row in TEXT.split("<!-- expected: meets -->")[1].strip().splitlines()[:6]]
    head, table = rows[0], rows[2:]
    assert [row[0] for row in table] == list(worlds)
    for name, *shares in table:
        figures = {arm: expected(worlds[name], arm).meets for arm in ARMS} | {"random": expected_random(worlds[name]).meets}
        assert shares == [f"{figures[arm]:.3f}" for arm in head[1:]]
