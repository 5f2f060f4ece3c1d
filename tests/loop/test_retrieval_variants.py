"""The study of retrieval variants, on a small lab run: variants differ in what they place, and bad calls are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.retrieval_variants import VARIANTS, main, report, source_of
from strategist.errors import SettingsError
from strategist.loop.deps import Deps
from strategist.records.chat import Message
from strategist.records.library import Snapshot
from strategist.settings import Settings
from tests.loop.made import entry, key, scenario
from tests.loop.small import small, with_deps

LINE = "Open a trace."


def measured(folder: Path) -> Settings:
    settings = small(folder)
    return settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"floor": None})})


def learn(deps: Deps) -> None:
    """A run that left one entry."""
    states = [scenario(f"s{i}", persona=f"train-{i}-0", text=f"parcel number {'abcdefghijkl'[i]}", issue="login") for i in range(12)]
    for i, (text, issues) in enumerate([("my parcel is", ["late"] * 4 + ["login"] * 6), ("parcel is late", ["late"] * 9 + ["login"] * 3)]):
        states += [scenario(f"t{i}{j}", persona=f"train-{50 + 20 * i + j}-0", text=text, issue=issue) for j, issue in enumerate(issues)]
    deps.store.put_documents(deps.run.id, "scenario", [(s.id, 0, i, s) for i, s in enumerate(states)])
    one = entry("e", LINE, keys=[key("hello\nwhich parcel\nmy parcel is late", issue="late")])
    after = Snapshot(entries=(one,), floor=None, embedder=deps.embedder.id)
    deps.store.put_document(deps.run.id, "snapshot_after", "r0", 0, 0, after)


@pytest.mark.usefixtures("own_models")
def test_variants_place_by_their_own_keys_and_floors(tmp_path: Path) -> None:
    same_words = [Message(role=r, content=t) for r, t in (("user", "other"), ("assistant", "which parcel"), ("user", "my parcel is late"))]
    far = [Message(role="user", content="zebra quagga")]

    async def work(deps: Deps) -> dict[str, list[bool]]:
        learn(deps)
        sources = {name: await source_of(deps, variant) for name, variant in VARIANTS.items()}
        assert len(sources["one text"].inner.snapshot.entries[0].keys[0].text.split("\n")) == 1
        floors = [sources[name].inner.floor for name in ("bold", "careful")]
        assert floors[0] is not None
        assert floors[1] is not None
        assert floors[0] < floors[1]
        return {name: [bool((await source.guidance(m)).lines) for m in (same_words, far)] for name, source in sources.items()}

    found = with_deps(measured(tmp_path), work)
    assert found["one text"] == [True, False]
    assert found["no floor"] == [True, True]


@pytest.mark.usefixtures("own_models")
def test_the_report_has_a_line_a_variant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def work(deps: Deps) -> None:
        learn(deps)
        await report(deps, 1, ["as learned", "no floor"])

    with_deps(measured(tmp_path), work)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["bare", "as learned", "no floor"]
    assert "over" not in lines[1]
    assert ", over as learned " in lines[2]
    assert "guided turns 100%" in lines[2]


@pytest.mark.usefixtures("own_models")
def test_what_cannot_be_varied_is_told(tmp_path: Path) -> None:
    async def work(deps: Deps) -> None:
        await source_of(deps, VARIANTS["as learned"])

    with pytest.raises(SettingsError, match="nothing to vary"):
        with_deps(measured(tmp_path), work)
    assert "python -m evals.retrieval_variants" in str(main([]))
    assert "no floor" in str(main(["strategist.toml", "1", "no flor"]))
    assert "no settings file" in str(main([str(tmp_path / "none.toml")]))
    (tmp_path / "s.toml").write_text('domain = "parcel"\n', encoding="utf-8")
    assert "no run to look at" in str(main([str(tmp_path / "s.toml")]))
