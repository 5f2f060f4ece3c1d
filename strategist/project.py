"""From strategist.toml to running parts: the one place that knows how settings become a domain, a store, models and roles.

`open_project` costs no model; `Project.deps` opens the models of a teach run, `Project.agent` those of an agent that serves.

Invariants: one process at a time works on a run, and several may work on runs of one project (`Project.at_work`); all parts of a process
that book on one run share one budget.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from strategist import __version__
from strategist.agent import Agent, LiveLibrary, agent_for
from strategist.casting import Cast, model_name, required
from strategist.domains.domain import Domain
from strategist.domains.pack import find_domain
from strategist.errors import LibraryError, SettingsError, StrategistError
from strategist.gate.judged import JudgeLabel, judged_by
from strategist.library.briefs import keep_brief
from strategist.library.library import Library
from strategist.loop.deps import Deps
from strategist.loop.runner import ended_well
from strategist.models.budget import Budget
from strategist.models.client import ModelClient
from strategist.models.open import open_client, open_model, prices_of, register_adapter
from strategist.models.protocol import Model
from strategist.records.base import digest
from strategist.records.chat import RoleName
from strategist.records.evidence import JudgedBy
from strategist.records.library import SERVABLE, Status
from strategist.records.run import RunInfo
from strategist.retrieval.embed import EmbedderChoice, open_embedder, require_embedder
from strategist.retrieval.index import ExactIndex, Index, IndexChoice, open_index
from strategist.retrieval.retriever import Retriever
from strategist.roles.prompts import prompt_hashes
from strategist.settings import ModelSettings, Settings
from strategist.store import Store, open_store
from strategist.store.calls import CallLog
from strategist.store.lock import HeldError, hold, join

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from strategist.loop.deps import LoopState

LAB = "lab:"
RUN_LOCK = "teach.lock"
SERVE = "serve"
LABELS = "judge"
"""What labels of a judge's verdicts are kept under, beside the runs."""


@dataclass
class Project:
    """An opened project. Close it, or use it in a `with` block."""

    settings: Settings
    domain: Domain
    store: Store
    library: Library
    embedder: EmbedderChoice
    calls: CallLog
    index_notice: str = ""
    """One line to show when another index serves than the settings name (set by the first query), else empty."""
    notify: Callable[[str], None] = logging.getLogger("strategist").warning
    """Told when a model server is waited for, and when it is back."""
    _models: list[Model] = field(default_factory=list)
    _serving: Index | None = None
    _budgets: dict[str, Budget] = field(default_factory=dict)
    _locks: dict[str, IO[str]] = field(default_factory=dict)
    _holders: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._serving is not None:
            self._serving.close()
        self.store.close()

    @property
    def index_folder(self) -> Path:
        """Where the derived index lies."""
        return self.settings.database_path.parent / "index"

    @property
    def checkpoints(self) -> Path:
        """Where the graph's checkpoints lie."""
        return self.settings.database_path.with_suffix(".checkpoints.db")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the one process that is at work in this project, on whatever run. Raises HeldError, naming the others. May be nested."""
        with self._holding(hold):
            for run in self.store.runs():
                self.take(run.id)
            yield

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Work on runs beside other processes: each run that is taken, chosen or opened inside is this process's until the end of the
        outermost block. Raises HeldError if another process is `alone`."""
        with self._holding(join):
            yield

    @contextmanager
    def _holding(self, lock: Callable[[Path], IO[str]]) -> Iterator[None]:
        if not self._holders:
            self._locks[""] = lock(self.settings.database_path.parent / RUN_LOCK)
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            while not self._holders and self._locks:
                self._locks.popitem()[1].close()

    def take(self, run: str) -> None:
        """Be the one process that works on a run, until the block of `at_work` or `alone` ends. Raises HeldError, naming the other.

        Whoever has a run knows that its calls in flight were left by processes that died: they are marked so, and stay counted. What
        other processes spent on it until then is read anew."""
        if run not in self._locks:
            self._locks[run] = hold(self._lock_of(run))
            self.calls.mark_abandoned(run)
            self._budgets.pop(run, None)

    def _lock_of(self, run: str) -> Path:
        return self.settings.database_path.with_suffix(f".{run}.lock")

    def last_run(self) -> RunInfo | None:
        """The newest teach run, or None."""
        runs = self.store.runs()
        return runs[-1] if runs else None

    def choose_run(self, *, resume: bool, new: bool) -> RunInfo:
        """The run to work on: a new one, or the unfinished one with `resume`. Raises SettingsError where that is not clear, and HeldError.

        Runs that other processes work on are left to them; without `new` they are a reason not to begin another. Between this and `deps`
        another process may begin the run, unless `at_work` spans both."""
        with self.at_work(), self.store.transaction():  # which no two processes are in at a time
            return self._choose_run(resume=resume, new=new)

    def _choose_run(self, *, resume: bool, new: bool) -> RunInfo:
        runs = self.store.runs()
        last, held = self._last_free(runs)
        unfinished = last if last is not None and not ended_well(last.stop) else None
        if held is not None and not new and (unfinished is None or not resume):
            raise HeldError(held.path, held.holder, hint="wait for it, or stop it; nothing is lost. --new begins another run beside it")
        if unfinished is not None and not self._has_begun(unfinished):
            return self._new_run(runs.index(unfinished))
        if resume:
            if unfinished is None:
                raise SettingsError("there is no unfinished run to resume", hint="start one with `strategist teach`")
            self.require_same(unfinished)
            self.take(unfinished.id)
            return unfinished
        if unfinished is not None and not new:
            raise SettingsError(
                f"{unfinished.id} is unfinished ({unfinished.stop or 'it was killed'})",
                hint="go on with `strategist teach --resume`, or start afresh with `--new`",
            )
        return self._new_run(len(runs))

    def last_free_run(self) -> RunInfo | None:
        """The newest run that no other process is teaching, or None."""
        with self.store.transaction():  # to look is to hold for a moment
            return self._last_free(self.store.runs())[0]

    def _last_free(self, runs: Sequence[RunInfo]) -> tuple[RunInfo | None, HeldError | None]:
        """The newest run that is not being taught by another process, and what says that a later one is."""
        held: HeldError | None = None
        for run in reversed(runs):
            if ended_well(run.stop) or run.id in self._locks:  # who evaluates a run that has ended is not in the way
                return run, held
            try:
                hold(self._lock_of(run.id)).close()
            except HeldError as error:
                held = held or error
            else:
                return run, held
        return None, held

    def _has_begun(self, run: RunInfo) -> bool:
        """Whether a run left anything behind. One that did not (its model could not be opened, say) binds nobody to its settings."""
        return self.calls.spent(run.id).calls > 0 or next(self.store.traces(run.id), None) is not None

    def require_same(self, run: RunInfo) -> None:
        """A resumed run must have everything that decides what is learned as it began. What an old record does not say is not compared."""
        same = {
            "the settings": run.learning_hash == self.settings.learning_hash,
            "the domain pack": run.pack_hash == self.domain.pack_hash,
            f"the student ({run.student})": run.student == model_name(self.settings.student),
            f"the embedder ({run.embedder})": run.embedder in ("", self.embedder.embedder.id),
            "the prompts": run.prompts in ("", digest(prompt_hashes())),
            f"the version of strategist ({run.code})": run.code in ("", __version__),
        }
        for what in (name for name, kept in same.items() if not kept):
            raise SettingsError(f"{what} changed since {run.id} began", hint="change them back, or start a new run with --new")

    def probe_run(self) -> RunInfo:
        """What probes are booked on: no run of the loop, and not listed as one."""
        return self._info("probe", self.settings.seed)

    def revalidation_run(self, number: int) -> RunInfo:
        """What a re-validation is booked on: `revalidate-001` is the first. No run of the loop, and not listed as one."""
        return self._info(f"revalidate-{number:03d}", self.settings.seed)

    def transfer_run(self, library: str) -> RunInfo:
        """What the transfer of a library (its hash) to this domain and student is booked on: no run of the loop either."""
        name = digest([library, self.domain.name, self.domain.pack_hash, model_name(self.settings.student)], 8)
        return self._info(f"transfer-{name}", self.settings.seed)

    def _new_run(self, earlier: int) -> RunInfo:
        run = self._info(f"run-{earlier + 1:03d}", self.settings.seed + 1_000 * earlier)
        self.take(run.id)
        self.store.put_run(run)
        keep_brief(self.store, self.domain)
        return run

    def _info(self, run_id: str, seed: int) -> RunInfo:
        settings = self.settings
        if settings.customer.kind == "model":
            required(settings.customer.model, "customer")
        return RunInfo(
            id=run_id,
            domain=self.domain.name,
            pack_hash=self.domain.pack_hash,
            brief_hash=self.domain.brief_hash,
            learning_hash=settings.learning_hash,
            code=__version__,
            prompts=digest(prompt_hashes()),
            seed=seed,
            student=model_name(settings.student),
            advisor="handbook" if settings.advisor.kind == "handbook" else model_name(required(settings.advisor.model, "advisor")),
            embedder=self.embedder.embedder.id,
            rounds=settings.teach.rounds,
        )

    @asynccontextmanager
    async def deps(self, run: RunInfo) -> AsyncIterator[Deps]:
        """The parts of a run, which is this process's; its models are closed at the end. Raises HeldError."""
        with self.at_work():
            self.take(run.id)
            if self.library.get_embedder() is None:
                self.library.set_embedder(self.embedder.embedder.id)
            budget = self._budget(run.id)
            try:
                student = self._client(self.settings.student, "student", run.id, run.seed)
                cast_ = Cast(self.settings, self.domain, lambda model, role: self._client(model, role, run.id, run.seed), self.notify)
                advisor, teacher = cast_.advisor()
                judge = cast_.judge()
                yield Deps(
                    settings=self.settings,
                    domain=self.domain,
                    store=self.store,
                    library=self.library,
                    embedder=self.embedder.embedder,
                    student=student,
                    advisor=advisor,
                    customer=cast_.customer(),
                    run=run,
                    teacher=teacher,
                    judge=judge,
                    judged=None if judge is None else self._judged(run, judge.name),
                    spent=lambda: (budget.spent.calls, budget.spent.usd),
                )
            finally:
                await self.close_models()

    def agent(self, *, with_library: bool = True) -> Agent:
        """The student as it serves customers: guidance from the newest servable library.

        Its calls are recorded under the run `serve`, whose budget all agents of this project share."""
        student = self.settings.student
        client = self._client(student, "student", SERVE, self.settings.seed)
        return agent_for(client, self.domain, student, self.live() if with_library else None)

    @property
    def servable(self) -> tuple[Status, ...]:
        """The statuses that may reach customers."""
        return ("approved",) if self.settings.serve_status == "approved" else SERVABLE

    def live(self) -> LiveLibrary:
        """Guidance from the newest servable entries through the index of the settings; the library's version is checked on every query."""
        retrieval, language = self.settings.retrieval, self.domain.language
        return LiveLibrary(self.library, self.embedder.embedder, retrieval, self.servable, language=language, index=self._serving_index)

    def _serving_index(self) -> Index:
        """The index that serves: opened once, closed with the project."""
        if self._serving is None:
            try:
                choice = open_index(self.settings.retrieval, self.index_folder, self.embedder.embedder.id)
            except LibraryError as error:  # derived: customers are served without it
                choice = IndexChoice(ExactIndex(), f"index: exact search in memory, because {error.message}; {error.hint}")
            self._serving, self.index_notice = choice.index, choice.notice
        return self._serving

    @contextmanager
    def index(self, *, fresh: bool = False) -> Iterator[IndexChoice]:
        """The derived index of the settings beside the database; `fresh` drops what is there. Raises LibraryError if it is damaged."""
        choice = open_index(self.settings.retrieval, self.index_folder, self.embedder.embedder.id, fresh=fresh)
        try:
            yield choice
        finally:
            choice.index.close()

    async def catch_up(self) -> str:
        """Bring the derived index up to the library. Returns one line to show if that failed (nothing is lost then), else "".

        Who changes the library while another process does this leaves the index to it. So whoever had it looks once more when the index
        is free again."""
        while True:
            version = self.library.version()
            notice = await self._catch_up_once()
            if notice or version == self.library.version():
                return notice

    async def _catch_up_once(self) -> str:
        snapshot = self.library.snapshot(self.servable, self.embedder.embedder.id, self.library.get_floor())
        if self.settings.retrieval.index == "exact" or not (snapshot.entries or self.index_folder.exists()):
            return ""
        try:
            with self.index() as choice:
                if not choice.notice:  # else whoever has it open does this at its next query
                    await Retriever.build(
                        snapshot, self.embedder.embedder, self.settings.retrieval, choice.index, language=self.domain.language
                    )
        except StrategistError as error:
            return f"{error.message}; {error.hint}" if error.hint else error.message
        return ""

    async def close_models(self) -> None:
        """Close every model that was opened."""
        while self._models:
            await self._models.pop().close()

    def _budget(self, run: str) -> Budget:
        """The one wall of a run in this process: whatever it books goes through this object, which counts it."""
        if run not in self._budgets:
            self._budgets[run] = Budget(self.settings.budget, self.calls.spent(run), self.calls.overrun(run))
        return self._budgets[run]

    def _client(self, settings: ModelSettings, role: RoleName, run: str, seed: int) -> ModelClient:
        if settings.adapter == "lab":
            from strategist.lab.adapter import open_lab_model

            register_adapter("lab", open_lab_model)
        model = open_model(settings.model_copy(update={"path": self._path(settings.path)}))
        self._models.append(model)
        if settings.adapter == "litellm" and self.settings.budget.usd is not None and not any(prices_of(settings)):
            hint = f"set price_in and price_out of the {role}'s model (US dollars per million tokens), or limit calls or tokens instead"
            raise SettingsError(f"[budget] usd needs prices, and litellm's table has none for {settings.model}", hint=hint)
        return open_client(
            settings, role=role, run=run, seed=seed, calls=self.calls, budget=self._budget(run), model=model, notify=self.notify
        )

    def _path(self, path: Path | None) -> Path | None:
        return None if path is None else (self.settings.folder / path).resolve()

    def _judged(self, run: RunInfo, judge: str) -> JudgedBy:
        """How far the judge can be trusted in this run: by the labels there were when it began, also where it is resumed."""
        known = self.store.get_document(run.id, "judged_by", judge, JudgedBy)
        if known is None:
            known = judged_by(judge, self.judge_labels())
            self.store.put_document(run.id, "judged_by", judge, 0, 0, known)
        return known

    def judge_labels(self) -> list[JudgeLabel]:
        """What people said of pairs that a judge has compared."""
        return self.store.documents(LABELS, "label", JudgeLabel)


def open_project(settings: Settings) -> Project:
    """Open the project of these settings. Raises SettingsError, DomainError, StoreError or LibraryError."""
    domain = open_domain(settings)
    choice = open_embedder(settings.retrieval, domain.language)
    store = open_store(settings.database_path)
    try:
        library = Library(store)
        require_embedder(choice, library.get_embedder())
    except BaseException:
        store.close()
        raise
    return Project(settings=settings, domain=domain, store=store, library=library, embedder=choice, calls=CallLog(store))


def open_domain(settings: Settings) -> Domain:
    """The domain that settings name: a pack, or a world of the lab. Raises DomainError."""
    if not settings.domain.startswith(LAB):
        return find_domain(settings.domain, settings.folder)
    from strategist.lab.domain import lab_domain
    from strategist.lab.worlds import load_world

    return lab_domain(load_world(settings.domain.removeprefix(LAB)))


@asynccontextmanager
async def studio_graph() -> AsyncIterator[CompiledStateGraph[LoopState]]:
    """The graph for LangGraph Studio (langgraph.json): ./strategist.toml, its unfinished run or a new one; no checkpointer."""
    from strategist.loop.graph import build_graph
    from strategist.settings import load_settings

    with open_project(load_settings(Path("strategist.toml"))) as project, project.at_work():
        last = project.last_free_run()
        run = project.choose_run(resume=last is not None and not ended_well(last.stop), new=False)
        async with project.deps(run) as deps:
            yield build_graph(deps).compile()
