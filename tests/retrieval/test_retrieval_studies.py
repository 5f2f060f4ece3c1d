"""The studies of speed and quality run at a tiny size, and see what they claim to see."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from evals import retrieval_quality, retrieval_speed
from strategist.retrieval.embed import HashedEmbedder
from strategist.retrieval.fields import FieldEmbedder

EMBEDDER = FieldEmbedder(HashedEmbedder())


def test_the_table_of_speed_has_a_line_for_either_index(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(retrieval_speed, "minilm_cache", lambda: tmp_path)
    retrieval_speed.main([30], queries=5)
    _, _, exact, chroma = capsys.readouterr().out.splitlines()
    assert exact.split()[:3] == ["30", "hashed", "exact"]
    assert chroma.split()[:3] == ["30", "hashed", "chroma"]
    assert exact.split()[9] == chroma.split()[9] == "1", "one entry more costs one key embedded"


def test_made_up_vectors_are_unit_vectors_and_few_texts_are_embedded() -> None:
    made_up = retrieval_speed.MadeUp(EMBEDDER, 12)
    many = asyncio.run(made_up.embed(["x"] * 101))
    np.testing.assert_allclose(np.linalg.norm(many, axis=1), 1, atol=1e-5)
    assert asyncio.run(made_up.embed(["late"])).shape == (1, 3072)


def test_self_retrieval_finds_the_other_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"task_id": task, "trial": trial, "messages": [{"role": "user", "content": wish}, {"role": "assistant", "content": "Which one?"}]}
        for task, wish in enumerate(("refund please", "a meal", "an upgrade", "extra bags"))
        for trial in (0, 1)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asyncio.run(retrieval_quality.dialogues([tmp_path / "rows.jsonl"], EMBEDDER))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if "states" in line] == ["all tasks", "odd tasks"]
    assert sum("hit@1 1.000 [1.000, 1.000]  hit@5 1.000 [1.000, 1.000]  MRR 1.000" in line for line in lines) == 12


def test_precision_is_of_what_is_placed() -> None:
    right, whole = np.array([True, True, False, False]), np.array([True, True, True, False])
    found = retrieval_quality.ratio(right, whole, ["a", "a", "b", "c"])
    assert found.value == pytest.approx(2 / 3)
    assert (found.low, found.high) == (0, 1)


def test_the_lab_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(retrieval_quality.lab("specific", 6, EMBEDDER))
    without, with_floor = capsys.readouterr().out.splitlines()
    assert "floor 0.00" in without
    assert "placed 1.00, precision 1.000" in without
    assert "floor 0.36" in with_floor


def test_scores_tell_won_moments_only_within_a_candidate(capsys: pytest.CaptureFixture[str]) -> None:
    scores, won = np.array([0.9, 0.8, 0.3, 0.2]), np.array([True, False, True, False])
    groups = np.array(["a", "a", "b", "b"])
    assert retrieval_quality.auc(scores, won, groups, np.ones(4)) == 1
    assert retrieval_quality.auc(-scores, won, groups, np.ones(4)) == 0
    assert np.isnan(retrieval_quality.auc(scores, won, np.arange(4), np.ones(4)))
    keys = {"a": ["the vase came broken"], "b": ["a customs fee"]}
    said = ["my vase is broken", "hello", "the customs fee", "good day"]
    moments = retrieval_quality.Moments(list("aabb"), ["p1", "p2", "p1", "p2"], won, ~won, said, keys)
    asyncio.run(retrieval_quality.pairs(moments, EMBEDDER))
    assert capsys.readouterr().out.count("AUC 1.000 [1.000, 1.000]") == 4
