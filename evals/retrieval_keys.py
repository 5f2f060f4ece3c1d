"""Does a moment's key find moments that need the same? One text of the last exchange against the fields of `retrieval.fields`.

    python -m evals.retrieval_keys moments DATABASE...    states of real runs: does the nearest other customer's failing check matter here?
    python -m evals.retrieval_keys dialogues FILE         dialogues with task_id and trial: is the nearest of the same task?

`moments` takes databases of teach runs in one domain with checks (their `generate` states). Every state asks all states of other customers
at which a check with advice failed; what the nearest one failed first is the line it would bring. `applies`: that check is decided here, so
the line has its moment; `fails`: the student fails it here. `dialogues`: a hit is a state of another trial of the same task, `phase` one at
about the same turn (one off at most); tasks with odd ids only, since weights and lengths were chosen on the even ones.

MiniLM if Chroma has it, else hashed vectors. Intervals: Student's t over customers or tasks.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evals.last_run import cell
from strategist.domains.domain import Domain
from strategist.domains.pack import find_domain
from strategist.records.chat import Message
from strategist.records.trace import Scenario
from strategist.retrieval.bm25 import BM25
from strategist.retrieval.embed import Embedder, open_embedder
from strategist.retrieval.fields import FieldBM25, fields_of
from strategist.retrieval.mask import key_text
from strategist.retrieval.rank import FUSION_K, ranks
from strategist.settings import RetrievalSettings
from strategist.stats import mean_interval, paired_difference
from strategist.store.store import open_store

Matrix = npt.NDArray[np.float64]
EVERYWHERE = 0.5
"""A check that is decided at more than this share of the states belongs to no moment."""


class Question(NamedTuple):
    """States by their keys; `unit` is what is independent (customer or task), `own` what may not answer (n x n), `hits` the measures."""

    keys: list[str]
    unit: list[str]
    own: npt.NDArray[np.bool_]
    hits: dict[str, npt.NDArray[np.bool_]]


def last_exchange(key: str) -> str:
    """The key as one text, as it was before fields: agent and customer."""
    fields = fields_of(key)
    return f"{fields.agent} {fields.customer}".strip()


async def similarities(keys: Sequence[str], embedder: Embedder) -> dict[str, Matrix]:
    """Way of comparing -> similarity of every key with every other."""
    texts = [last_exchange(key) for key in keys]
    one, fields = await embedder.embed(texts), await embedder.embed(keys)
    words, weighed = BM25(texts), FieldBM25(keys)
    return {
        "one text": (one @ one.T).astype(np.float64),
        "one text, BM25": np.stack([words.scores(text) for text in texts]),
        "fields": (fields @ fields.T).astype(np.float64),
        "fields, BM25": np.stack([weighed.scores(key) for key in keys]),
    }


def fused(dense: Matrix, sparse: Matrix, own: npt.NDArray[np.bool_]) -> Matrix:
    """Reciprocal rank fusion of each row's allowed states, as retrieval does it: ties share a rank, a BM25 score of 0 has none."""
    out = np.zeros_like(dense)
    for row, ours in enumerate(own):
        there = np.flatnonzero(~ours)
        d, b = dense[row, there].round(6), sparse[row, there]
        lexical = np.where(b > 0, 1 / (FUSION_K + np.array(ranks(b.tolist()))), 0.0)
        out[row, there] = 1 / (FUSION_K + np.array(ranks(d.tolist()))) + lexical + 1e-9 * d  # equal ranks: the better cosine
    return out


async def report(question: Question, embedder: Embedder) -> None:
    """Print one line per way of comparing: each measure with its interval, and the difference to one text fused with BM25."""
    found = await similarities(question.keys, embedder)
    for name in ("one text", "fields"):
        found[f"{name}, both"] = fused(found[name], found[f"{name}, BM25"], question.own)
    values = {way: _measured(question, matrix) for way, matrix in found.items()}
    print(f"{len(question.keys)} states of {len(set(question.unit))} customers or tasks; {embedder.id}")
    for way in ("one text", "one text, BM25", "one text, both", "fields", "fields, BM25", "fields, both"):
        line = f"{way:<16}"
        for measure in question.hits:
            mine, base = values[way][measure], values["one text, both"][measure]
            e, d = mean_interval(list(mine.values())), paired_difference(mine, base)
            line += f"  {measure} {cell(e)}"
            line += "" if way == "one text, both" else f" ({cell(d, signed='+')})"
        print(line)


def _measured(question: Question, matrix: Matrix) -> dict[str, dict[str, float]]:
    """Measure -> unit -> share of its states whose nearest allowed state is a hit."""
    nearest = np.where(question.own, -1e9, matrix).argmax(axis=1)
    out: dict[str, dict[str, float]] = {}
    for measure, hits in question.hits.items():
        by_unit: dict[str, list[bool]] = defaultdict(list)
        for i, j in enumerate(nearest):
            by_unit[question.unit[i]].append(bool(hits[i, j]))
        out[measure] = {unit: float(np.mean(got)) for unit, got in by_unit.items()}
    return out


def moments(states: Sequence[tuple[str, Scenario]], domain: Domain) -> Question:
    """The question for states of real runs, each with its customer. States whose failures no specific check explains bring no line."""
    order = {check.id: (not check.hard, i) for i, check in enumerate(domain.checks) if check.advice}
    decided = [{v.check for v in s.verdicts if v.passed is not None} for _, s in states]
    failed = [{v.check for v in s.verdicts if v.passed is False} for _, s in states]
    specific = {c for c in order if np.mean([c in d for d in decided]) <= EVERYWHERE}
    line = [min(f & specific, key=order.__getitem__, default="") for f in failed]
    who = [customer for customer, _ in states]
    own = np.array([[a == b or not brings for b, brings in zip(who, line, strict=True)] for a in who])
    hits = {
        "applies": np.array([[check in d for check in line] for d in decided]),
        "fails": np.array([[check in f for check in line] for f in failed]),
    }
    return Question([key_text(s.messages, domain.language) for _, s in states], who, own, hits)


def read_moments(databases: Sequence[Path]) -> Question:
    """The `generate` states of all runs in these databases; the same state of the same customer counts once."""
    states: dict[tuple[str, str], tuple[str, Scenario]] = {}
    domain: Domain | None = None
    for path in databases:
        store = open_store(path)
        for run in store.runs():
            domain = find_domain(run.domain, Path())
            for s in store.documents(run.id, "scenario", Scenario):
                customer = f"{run.seed}/{s.persona}"
                states.setdefault((customer, "\n".join(m.content for m in s.messages[1:])), (customer, s))
        store.close()
    if domain is None:
        sys.exit("no teach run in these databases")
    return moments(list(states.values()), domain)


def dialogues(rows: Sequence[dict[str, Any]], wanted: Callable[[int], bool] = lambda task: task % 2 == 1) -> Question:
    """The question for dialogues: states before each agent turn that has words and calls no tool; of tasks with odd ids, unless others are
    wanted."""
    keys, task, trial, turn = [], [], [], []
    for row in rows:
        if not wanted(row["task_id"]):
            continue
        said: list[Message] = []
        turns = 0
        for m in row["messages"]:
            words = m["content"] or ""
            if m["role"] == "assistant" and words and not m.get("tool_calls") and any(x.role == "user" for x in said):
                keys.append(key_text(said))
                task.append(str(row["task_id"]))
                trial.append(f"{row['task_id']}/{row['trial']}")
                turn.append(turns)
                turns += 1
            if m["role"] in ("user", "assistant"):
                said.append(Message(role=m["role"], content=words))
    near = np.abs(np.subtract.outer(turn, turn)) <= 1
    return Question(keys, task, _same(trial), {"task": _same(task), "phase": _same(task) & near})


def _same(names: Sequence[str]) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = np.array(names)[:, None] == np.array(names)[None, :]
    return same


def main(kind: str, files: Sequence[Path]) -> None:
    """Read, compare, print."""
    if kind == "dialogues":
        question = dialogues([json.loads(row) for path in files for row in path.read_text(encoding="utf-8").splitlines()])
    else:
        question = read_moments(files)
    asyncio.run(report(question, open_embedder(RetrievalSettings()).embedder))


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("moments", "dialogues"):
        sys.exit(__doc__)
    main(sys.argv[1], [Path(name) for name in sys.argv[2:]])
