"""Does retrieval find what helps? Three questions, each with a truth that retrieval does not see.

    python -m evals.retrieval_quality dialogues FILE        recorded dialogues with task_id and trial
    python -m evals.retrieval_quality lab                   the simulated worlds, whose best library is known
    python -m evals.retrieval_quality pairs DATABASE...     test pairs of real runs

`dialogues`: every state asks the states of all other dialogues; a hit is a state of another trial of its task. Keys are masked. Ways: the
last exchange as one text, by BM25, by vectors and by both, as first measured; the same with the fields that keys have now. Over all tasks,
and over those with odd ids (weights and lengths were chosen on the even ones). Intervals: bootstrap over tasks.

`lab`: bare conversations of dev customers. At every state the entry that would be placed first from the known best library, without a floor
and with the floor that the loop would calibrate on train states. Precision: share of the placed that are of the state's situation; recall:
share of the states that some entry helps where that one is placed first. Intervals: bootstrap over customers. Customers on dev word things
in other ways than the library's keys.

`pairs`: does the score of a candidate at a test moment tell where it won? Chance, within each candidate, that a moment it won has the
higher score (AUC; 0.5 tells nothing). Moments were let in by that score, which narrows it. Intervals: bootstrap over customers.

MiniLM if Chroma has it, else hashed vectors.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evals.retrieval_keys import Matrix, Question, fused, similarities
from evals.retrieval_keys import dialogues as question_of
from strategist.agent import Agent
from strategist.conversation import play, scenarios_of
from strategist.domains.domain import Domain
from strategist.domains.persona import Split
from strategist.lab.adapter import lab_model
from strategist.lab.domain import lab_domain
from strategist.lab.optimum import best_lines, known_best
from strategist.lab.reading import latest_situation
from strategist.lab.worlds import World, load_world
from strategist.loop.consolidate import found_first
from strategist.models.protocol import Model
from strategist.records.base import stable_int
from strategist.records.chat import ModelRequest, Purpose, Reply
from strategist.records.evidence import Evidence
from strategist.records.library import Candidate
from strategist.records.trace import Scenario
from strategist.retrieval.embed import Embedder, open_embedder
from strategist.retrieval.fields import FieldBM25
from strategist.retrieval.floor import precise_floor
from strategist.retrieval.mask import key_text
from strategist.retrieval.retriever import Retriever
from strategist.roles.scripted_customer import ScriptedCustomer
from strategist.settings import RetrievalSettings
from strategist.store.store import open_store

Flags = npt.NDArray[np.bool_]
WAYS = ("one text, BM25", "one text", "one text, both", "fields, BM25", "fields", "fields, both")
WORLDS = ("specific", "misleading")
CUSTOMERS = 120
DRAWS = 2_000
TURNS = 6


class Ratio(NamedTuple):
    """A share or a chance with its 95 % bootstrap interval over clusters."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def clustered(clusters: Sequence[str], value: Callable[[npt.NDArray[np.float64]], float]) -> Ratio:
    """`value` of weights 1, and its interval over draws of whole clusters; `value` gets one weight an observation."""
    places = np.unique(clusters, return_inverse=True)[1]
    count, random = int(places.max()) + 1, np.random.default_rng(0)
    drawn = [value(np.bincount(random.integers(count, size=count), minlength=count)[places].astype(float)) for _ in range(DRAWS)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Ratio(value(np.ones(len(places))), float(low), float(high))


def share(hits: Sequence[float] | npt.NDArray[Any], clusters: Sequence[str]) -> Ratio:
    """Weighted mean of values, interval over clusters."""
    values = np.asarray(hits, dtype=float)
    return clustered(clusters, lambda w: float(w @ values / w.sum()) if w.sum() else float("nan"))


def first_hits(question: Question, similar: Matrix) -> dict[str, npt.NDArray[np.float64]]:
    """hit@1, hit@5 and reciprocal rank of the first hit, for each state that has any."""
    order = np.argsort(-np.where(question.own, -1e9, similar), axis=1, kind="stable")
    hits = np.take_along_axis(question.hits["task"] & ~question.own, order, axis=1)
    first = hits.argmax(axis=1)
    there = hits.any(axis=1)
    return {"hit@1": there & (first == 0), "hit@5": there & (first < 5), "MRR": np.where(there, 1 / (1.0 + first), 0.0)}


async def dialogues(files: Sequence[Path], embedder: Embedder) -> None:
    """Print the table of self-retrieval, over all tasks and over odd ones."""
    rows = [json.loads(row) for path in files for row in path.read_text(encoding="utf-8").splitlines()]
    for name, question in (("all tasks", question_of(rows, lambda task: True)), ("odd tasks", question_of(rows))):
        print(f"{name}: {len(question.keys)} states of {len(set(question.unit))} tasks, {embedder.id}")
        found = await similarities(question.keys, embedder)
        for way in ("one text", "fields"):
            found[f"{way}, both"] = fused(found[way], found[f"{way}, BM25"], question.own)
        base = first_hits(question, found["one text, BM25"])["hit@1"]
        for way in WAYS:
            got = first_hits(question, found[way])
            cells = "  ".join(f"{measure} {share(values, question.unit)}" for measure, values in got.items())
            print(f"  {way:<15} {cells}  hit@1 over BM25 {share(got['hit@1'].astype(float) - base, question.unit)}")


class Plain:
    """A model without log or budget: purpose and sample number make the draw."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def model_name(self) -> str:
        """See `Chat`."""
        return self._model.name

    async def ask(self, request: ModelRequest, *, purpose: Purpose, sample: int = 0) -> Reply:
        """See `Chat`."""
        return await self._model.reply(request, stable_int(purpose, sample))


async def bare_states(world: World, domain: Domain, split: Split, customers: int) -> list[Scenario]:
    """The states of bare conversations with the first customers of a split."""
    agent = Agent(Plain(lab_model(world, "student")))
    out: list[Scenario] = []
    for index in range(customers):
        persona = domain.draw(split, index, 0)
        trace = await play(agent, ScriptedCustomer(), domain, persona, purpose="examine", max_turns=TURNS, index=index, sample=index)
        out += scenarios_of(trace, lambda messages: key_text(messages, domain.language))
    return out


async def lab(name: str, customers: int, embedder: Embedder) -> None:
    """Print precision and recall of the entry placed first, in one world."""
    world = load_world(name)
    domain, best = lab_domain(world), known_best(world)
    train, dev = [await bare_states(world, domain, split, customers) for split in ("train", "dev")]
    keys = await embedder.embed([key.text for e in best.entries for key in e.keys])
    floor = precise_floor(found_first(best.entries, keys, train, await embedder.embed([s.key for s in train])))
    retriever = await Retriever.build(best, embedder, RetrievalSettings(k=1))
    line = {e.id: e.strategies[0].text for e in best.entries}
    said = [latest_situation(world, [m.content for m in s.messages if m.role == "user"]) for s in dev]
    needed = ["".join(best_lines(world, situation)) if situation else "" for situation in said]
    hits = [(await retriever.hits(s.messages))[0] for s in dev]
    right = np.array([line[hit.entry.id] == need for hit, need in zip(hits, needed, strict=True)])
    who = [s.persona for s in dev]
    for least in (0.0, floor.score):
        placed = np.array([hit.score >= least for hit in hits])
        precision, recall = ratio(right & placed, placed, who), ratio(right & placed, np.array([need != "" for need in needed]), who)
        print(
            f"lab {name}: {len(dev)} states of {customers} dev customers, {len(best.entries)} entries, floor {least:.2f} ({embedder.id}): "
            f"placed {placed.mean():.2f}, precision {precision}, recall {recall}"
        )


def ratio(part: Flags, whole: Flags, clusters: Sequence[str]) -> Ratio:
    """Share of `whole` that is `part`."""
    return clustered(clusters, lambda w: float(w @ part / (w @ whole)) if w @ whole else float("nan"))


class Moments(NamedTuple):
    """Test moments of candidates: which candidate, whose, whether won and lost, key of the moment, keys of the candidate."""

    candidate: list[str]
    customer: list[str]
    won: Flags
    lost: Flags
    key: list[str]
    keys: Mapping[str, Sequence[str]]


def read_moments(databases: Sequence[Path]) -> Moments:
    """The pairs of all specific candidates that were played without a failure."""
    found: list[tuple[str, str, str, str]] = []
    keys: dict[str, Sequence[str]] = {}
    for path in databases:
        store = open_store(path)
        for run in store.runs():
            states = {s.id: s.key for kind in ("scenario", "extra_scenario") for s in store.documents(run.id, kind, Scenario)}
            tests = zip(store.documents(run.id, "candidate", Candidate), store.documents(run.id, "evidence", Evidence), strict=True)
            for candidate, evidence in tests:
                name = f"{path}/{run.id}/{candidate.id}"
                keys[name] = [key.text for key in candidate.keys]
                if candidate.scope == "specific":
                    found += [(name, f"{run.seed}/{p.persona}", p.result, states[p.scenario]) for p in evidence.pairs if not p.failure]
        store.close()
    if not found:
        sys.exit("no test pairs in these databases")
    candidates, customers, results, moments = (list(column) for column in zip(*found, strict=True))
    return Moments(candidates, customers, np.array(results) == "win", np.array(results) == "loss", moments, keys)


async def pairs(moments: Moments, embedder: Embedder) -> None:
    """Print how well scores tell won moments from others, and from lost ones."""
    names = sorted(moments.keys)
    cosine, words = np.zeros(len(moments.key)), np.zeros(len(moments.key))
    vectors = await embedder.embed(moments.key)
    for name in names:
        own = np.array(moments.candidate) == name
        if own.any():
            cosine[own] = (vectors[own] @ (await embedder.embed(moments.keys[name])).T).max(axis=1).round(6)
            index = FieldBM25([key for other in names for key in moments.keys[other]])
            mine = np.array([other == name for other in names for _ in moments.keys[other]])
            words[own] = [index.scores(moments.key[i])[mine].max() for i in np.flatnonzero(own)]
    who = f"{len(set(moments.candidate))} candidates, {len(set(moments.customer))} customers"
    print(f"{len(moments.key)} test moments of {who}, {embedder.id}")
    for name, scores in (("vectors", cosine), ("BM25", words)):
        for what, used in (("won against all others", np.ones(len(cosine), dtype=bool)), ("won against lost", moments.won | moments.lost)):
            print(f"  {name:<8} {what:<23} AUC {_auc_of(moments, scores, np.flatnonzero(used))}")


def _auc_of(moments: Moments, scores: npt.NDArray[np.float64], chosen: npt.NDArray[np.int64]) -> Ratio:
    groups, won, used = np.array(moments.candidate)[chosen], moments.won[chosen], scores[chosen]
    return clustered([moments.customer[i] for i in chosen], lambda weights: auc(used, won, groups, weights))


def auc(scores: npt.NDArray[np.float64], won: Flags, groups: npt.NDArray[Any], weights: npt.NDArray[np.float64]) -> float:
    """Chance that a won moment has a higher score than another one of its group; equal scores count half."""
    above = total = 0.0
    for group in np.unique(groups):
        here, there = (np.flatnonzero((groups == group) & flag) for flag in (won, ~won))
        gap = scores[here][:, None] - scores[there][None, :]
        weight = weights[here][:, None] * weights[there][None, :]
        above += float((weight * ((gap > 0) + 0.5 * (gap == 0))).sum())
        total += float(weight.sum())
    return above / total if total else float("nan")


async def _main(kind: str, arguments: Sequence[str], embedder: Embedder) -> None:
    files = [Path(name) for name in arguments]
    if kind == "dialogues":
        await dialogues(files, embedder)
    elif kind == "pairs":
        await pairs(read_moments(files), embedder)
    else:
        for world in WORLDS:
            await lab(world, CUSTOMERS, embedder)


def main(kind: str = "lab", arguments: Sequence[str] = ()) -> None:
    """Answer one of the questions."""
    asyncio.run(_main(kind, arguments, open_embedder(RetrievalSettings()).embedder))


if __name__ == "__main__":
    if sys.argv[1:] != ["lab"] and not (len(sys.argv) > 2 and sys.argv[1] in ("dialogues", "pairs")):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
