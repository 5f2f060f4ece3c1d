"""What of a library carries over to another student and to another company?

    python -m evals.transfer [SEEDS [FIRST]]          in the lab: libraries of *specific* elsewhere; default 5 seeds from 0
    python -m evals.transfer lines                    which handbook lines would cross between companies; no model
    python -m evals.transfer real LIBRARY SETTINGS    the same as `strategist transfer LIBRARY --settings SETTINGS`, for a real model

In the lab a library is taught in *specific* for each seed, and one at home in each other place to compare with: three other students at the
same company (*weak* follows less well, *strong* does better without lines, *uncoachable* does not follow), and two other companies with the
same student (*neighbour* has the same twelve kinds of customers and needs six of the lines, while the other six customers need another line
there; *misleading* has other customers with other needs). Everything is played on 80 dev customers, seed 1. Models are simulated. The share
of the gain kept is summed over runs with a bootstrap over runs, so at least 2 seeds. Runs are kept under runs/transfer and not repeated.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from evals.lab_worlds import Job, mean_score
from evals.last_run import cell, taught
from strategist.casting import model_name
from strategist.cli.transfer import run as transfer_command
from strategist.domains.domain import Domain
from strategist.domains.pack import builtin_packs, load_domain
from strategist.errors import StrategistError
from strategist.evaluation.study import study_seeds
from strategist.evaluation.transfer import Plan, Transfer, make_plan, own_library, play_transfer
from strategist.lab.domain import lab_domain
from strategist.lab.worlds import World, load_world, load_worlds
from strategist.library.crossing import company_of, findings
from strategist.library.export import export_text, read_export
from strategist.project import Project, open_project
from strategist.records.library import SERVABLE, Snapshot
from strategist.settings import Settings
from strategist.stats import mean_interval, ratio_of_means

HOME = Path("runs/transfer")
CUSTOMERS = 80
SOURCE = "specific"

PLACES: dict[str, tuple[str, str]] = {
    "weak": (SOURCE, "weak"),
    "strong": (SOURCE, "strong"),
    "uncoachable": (SOURCE, "uncoachable"),
    "neighbour": ("neighbour", "neighbour"),
    "misleading": ("misleading", "misleading"),
}
"""Where the library goes: the world of the company, and that of the student."""
GENERAL = ("keeps_others_data", "declines_and_offers", "acknowledges_feeling", "does_and_confirms", "next_step")
"""Checks of `parcel` whose advice any company could give, labelled by hand. The list of service words was completed while looking at these
lines, so what is found of them flatters the rule."""


class Result(NamedTuple):
    """One library in one place: mean scores of the arms, lines that cross and that there are, how many of either the place needs, and the
    verdicts on entries in the order in which they came."""

    bare: float
    transferred: float
    whole: float
    own: float
    crossed: int
    lines: int
    needed_crossed: int
    needed: int
    verdicts: tuple[str, ...]


def variants() -> dict[str, World]:
    """The students and the company that are not in worlds.toml."""
    shop, other = load_world(SOURCE), load_world("misleading")
    changed: dict[str, dict[str, object]] = {
        "weak": {"rates": {**shop.rates.model_dump(), "bare": 0.20, "right": 0.55}},
        "strong": {"rates": {**shop.rates.model_dump(), "bare": 0.55, "right": 0.86}},
        "neighbour": {
            "situations": [
                s.model_dump() if place < 6 else {**s.model_dump(), "need": other.situations[place].need.model_dump()}
                for place, s in enumerate(shop.situations)
            ]
        },
    }
    return {name: World.model_validate({**shop.model_dump(), "name": name, **change}) for name, change in changed.items()}


@contextmanager
def with_variants() -> Iterator[None]:
    """The lab with them."""
    with mock.patch.dict(load_worlds(), variants()):
        yield


def settings_of(place: str, seed: int, home: Path) -> Settings:
    """The settings of a project at a place; `specific` is where the library comes from."""
    company, student = PLACES.get(place, (SOURCE, SOURCE))
    settings = Job(company, seed).settings(home)
    model = settings.student.model_copy(update={"model": f"{student}/student"})
    return settings.model_copy(update={"folder": home / f"{place}-{seed}", "student": model})


async def taught_at(project: Project) -> Snapshot:
    """The library that was taught in a project, taught now if it was not."""
    await taught(project)
    return project.library.snapshot(SERVABLE, project.embedder.embedder.id, project.library.get_floor())


def source_library(seed: int, home: Path = HOME) -> Snapshot:
    """The library that is taken elsewhere: the file that was written, else taught now."""
    settings = settings_of(SOURCE, seed, home)
    file = settings.folder / "library.jsonl"
    if file.exists():
        return read_export(file.read_text(encoding="utf-8"))
    with with_variants(), open_project(settings) as project, project.alone():
        library = asyncio.run(taught_at(project))
    file.write_text(export_text(library), encoding="utf-8")
    return library


async def elsewhere(project: Project, library: Snapshot) -> tuple[Plan, Transfer]:
    """A library at a place, after one was taught there."""
    mine = own_library(await taught_at(project), project.domain.name, model_name(project.settings.student))
    sources = {f"lab_{SOURCE}": company_of(lab_domain(load_world(SOURCE)))}
    plan = make_plan(library, sources=sources, target=project.domain, embedder=project.embedder.embedder.id, own=mine, whole=True)
    async with project.deps(project.transfer_run(library.hash)) as deps:
        return plan, await play_transfer(deps, plan, CUSTOMERS, study_seeds(1))


def result_of(place: str, seed: int, home: Path = HOME) -> Result:
    """The result of a library at a place: the one that was written down, else made now."""
    settings = settings_of(place, seed, home)
    done = settings.folder / "result.json"
    if done.exists():
        return Result(**{**(kept := json.loads(done.read_text(encoding="utf-8"))), "verdicts": tuple(kept["verdicts"])})
    library = source_library(seed, home)
    with with_variants(), open_project(settings) as project, project.alone():
        plan, found = asyncio.run(elsewhere(project, library))
        result = summed(project.domain, plan, found)
    done.write_text(json.dumps(result._asdict()), encoding="utf-8")
    return result


def summed(domain: Domain, plan: Plan, found: Transfer) -> Result:
    """A transfer as a result. An arm that was not played gives what the arm gives that is equal to it."""
    scores = {arm: mean_score(found.outcomes, arm) for arm in dict.fromkeys(outcome.arm for outcome in found.outcomes)}
    lines = [strategy.text for entry in plan.library.entries for strategy in entry.strategies]
    held = {one.line for one in plan.held}
    needed = set(domain.handbook)
    return Result(
        bare=scores["bare"],
        transferred=scores["transferred"],
        whole=scores.get("whole", scores["transferred"]),
        own=scores.get("own", scores["bare"]),
        crossed=sum(line not in held for line in lines),
        lines=len(lines),
        needed_crossed=sum(line in needed and line not in held for line in lines),
        needed=sum(line in needed for line in lines),
        verdicts=tuple(use.verdict for use in found.uses),
    )


HEAD = (
    "| to | bare | transferred over bare [95 %] | whole over bare | own over bare | share of the gain kept | right lines that cross "
    "| wrong lines that cross | runs |\n" + "|---" * 9 + "|"
)


def row(place: str, results: Sequence[Result]) -> str:
    """One line of the table; differences have Student's t over runs."""
    arms = ("transferred", "whole", "own")
    lifts = [mean_interval([getattr(r, arm) - r.bare for r in results]) for arm in arms]
    right = f"{sum(r.needed_crossed for r in results)} of {sum(r.needed for r in results)}"
    wrong = f"{sum(r.crossed - r.needed_crossed for r in results)} of {sum(r.lines - r.needed for r in results)}"
    bare = sum(r.bare for r in results) / len(results)
    cells = (f"*{place}*", f"{bare:.3f}", *(cell(lift, signed="+") for lift in lifts), share(results), right, wrong, str(len(results)))
    return f"| {' | '.join(cells)} |"


def share(results: Sequence[Result]) -> str:
    """The share of the own library's gain that the transferred one brings; a dash where the own gain is not surely above 0."""
    own = {str(number): r.own - r.bare for number, r in enumerate(results)}
    if mean_interval(list(own.values())).low <= 0:
        return "-"
    kept = ratio_of_means({str(number): r.transferred - r.bare for number, r in enumerate(results)}, own)
    return f"{kept.mean:.0%} [{kept.low:.0%}, {kept.high:.0%}]"


def print_verdicts(place: str, results: Sequence[Result]) -> None:
    """How many entries have which verdict, over all runs."""
    verdicts = [verdict for result in results for verdict in result.verdicts]
    counts = {name: verdicts.count(name) for name in dict.fromkeys(verdicts)}
    print(f"{place}: {', '.join(f'{counts[name]} {name}' for name in sorted(counts, key=lambda name: -counts[name]))}")


def companies() -> dict[str, Domain]:
    """All English companies that are here: built-in packs, and two of the lab."""
    packs = {name: load_domain(path) for name, path in builtin_packs().items()}
    worlds = {f"lab:{name}": lab_domain(load_world(name)) for name in (SOURCE, "misleading")}
    return {name: domain for name, domain in {**packs, **worlds}.items() if domain.language == "en"}


def lines() -> None:
    """How many handbook lines would cross from each company to each other, and of parcel which of those that any company could give."""
    known = companies()
    print("| from | to | lines | cross | held back by |\n|---|---|---|---|---|")
    for name, source in known.items():
        for other, target in known.items():
            if name == other:
                continue
            found = {line: findings(line, company_of(source), company_of(target)) for line in source.handbook}
            kinds = [reasons[0].kind for reasons in found.values() if reasons]
            why = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "-"
            print(f"| {name} | {other} | {len(found)} | {len(found) - len(kinds)} | {why} |")
            if name == "parcel":
                print_labelled(source, {line for line, reasons in found.items() if not reasons})


def print_labelled(parcel: Domain, crossed: set[str]) -> None:
    """Against the labels of `parcel`'s lines."""
    general = {check.advice for check in parcel.checks if check.advice and check.id in GENERAL}
    own = set(parcel.handbook) - general
    right, wrong = f"{len(general & crossed)} of {len(general)}", f"{len(own & crossed)} of {len(own)}"
    print(f"| | | | of lines for any company {right}, of the company's own {wrong} | |")


def main(seeds: int = 5, first: int = 0) -> None:
    """Make what is missing and print the table."""
    chosen = range(first, first + max(2, seeds))
    print(f"seeds {chosen[0]} to {chosen[-1]}, {CUSTOMERS} dev customers, evaluation seed 1\n")
    jobs = [(place, seed) for seed in chosen for place in PLACES]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        list(pool.map(source_library, chosen))  # before it is needed at five places at once
        played = dict(zip(jobs, pool.map(result_of, *zip(*jobs, strict=True)), strict=True))
    print_table({place: [played[place, seed] for seed in chosen] for place in PLACES})


def print_table(found: dict[str, list[Result]]) -> None:
    """The table, and what became of the entries."""
    print(HEAD)
    for place, results in found.items():
        print(row(place, results))
    print()
    for place, results in found.items():
        print_verdicts(place, results)


def real(library: Path, settings: Path) -> str | None:
    """A real model; returns what is wrong, if anything."""
    try:
        transfer_command(
            settings, library, domain=None, student=None, source=None, personas=None, seeds=1, split="dev", whole=True, quiet=False
        )
    except StrategistError as error:
        return str(error)
    return None


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["lines"] and len(words) == 1:
        lines()
    elif words[:1] == ["real"] and len(words) == 3:
        sys.exit(real(Path(words[1]), Path(words[2])))
    elif all(word.isdigit() for word in words) and len(words) <= 2:
        main(*map(int, words))
    else:
        sys.exit((__doc__ or "").split("\n\n")[1])
