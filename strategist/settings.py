"""strategist.toml -> typed settings. Paths are resolved against the file's folder;
unknown keys are errors; secrets come from environment variables only."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field, ValidationError

from strategist.errors import SettingsError
from strategist.records.base import Record, digest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

AdapterName = Literal["openai", "litellm", "embedded", "lab"]
EmbedderName = Literal["auto", "hashed", "minilm", "endpoint"]


NOT_LEARNED = ("base_url", "api_key_env", "path", "max_in_flight", "timeout_s", "retries", "outage_s", "price_in", "price_out", "threads")
"""Settings of a model that decide where, how fast and for how much it is asked, not what it answers."""


class ModelSettings(Record):
    """One model behind one adapter. Prices in US dollars per million tokens; time-outs in seconds; `outage_s`: how long a server that
    answered before and is gone is waited for until the run stops."""

    adapter: AdapterName = "openai"
    model: str = "student"
    base_url: str = "http://127.0.0.1:8000/v1"
    api_key_env: str = "OPENAI_API_KEY"
    path: Path | None = None
    temperature: float = Field(default=0.7, ge=0, le=2)
    max_tokens: int = Field(default=200, ge=1)
    max_in_flight: int = Field(default=8, ge=1)
    timeout_s: float = Field(default=120.0, gt=0)
    retries: int = Field(default=4, ge=0, le=20)
    outage_s: float = Field(default=3600.0, ge=0)
    tool_style: Literal["native", "text"] = "native"
    price_in: float = Field(default=0.0, ge=0)
    price_out: float = Field(default=0.0, ge=0)
    context_tokens: int = Field(default=4096, ge=256)
    threads: int = Field(default=2, ge=1)


class AdvisorSettings(Record):
    """Who writes strategies: the domain's handbook, or a model (which then also acts as the teacher)."""

    kind: Literal["handbook", "model"] = "handbook"
    max_lines: int = Field(default=3, ge=1, le=5)
    model: ModelSettings | None = None


class PlayerSettings(Record):
    """Who plays the customer."""

    kind: Literal["scripted", "model"] = "scripted"
    model: ModelSettings | None = None


class JudgeSettings(Record):
    """Who compares replies where a domain has no checks that could: nobody, or a model, best of another family than the teacher's."""

    kind: Literal["none", "model"] = "none"
    model: ModelSettings | None = None


class TeachSettings(Record):
    """Sizes of the loop. `teacher_share` is beta per round: the share of conversations the teacher plays (0 with the handbook)."""

    rounds: int = Field(default=3, ge=1, le=50)
    conversations: int = Field(default=24, ge=1)
    scenarios: int = Field(default=24, ge=1)
    control_share: float = Field(default=0.1, ge=0, le=0.5)
    coaching_steps: int = Field(default=2, ge=1, le=5)
    candidates: int = Field(default=16, ge=1)
    dev_personas: int = Field(default=16, ge=2)
    teacher_share: tuple[float, ...] = (1.0, 0.5, 0.0)
    max_turns: int = Field(default=6, ge=1)


class GateSettings(Record):
    """Admission: units from one look to the next, units of a test at most and before anybody is admitted, the false discovery rate, the
    level of the hard-failure refusal; student replies that a round may spend on conversations for test moments, per conversation of its
    own; whether a candidate coached only on openings (or only on later turns) is tested only on such."""

    look: int = Field(default=4, ge=1)
    most: int = Field(default=34, ge=2)
    least: int = Field(default=12, ge=2)
    fdr: float = Field(default=0.10, gt=0, lt=1)
    hard_level: float = Field(default=0.10, gt=0, lt=1)
    extra_turns: int = Field(default=4, ge=0)
    own_phase: bool = False

    @property
    def enough(self) -> int:
        """Units without which a candidate waits: `least`, but never more than a full test has."""
        return min(self.most, self.least)


class RetrievalSettings(Record):
    """Retrieval and placement: entries per turn, line and token caps, the embedder (chosen once per library), the index that serves."""

    embedder: EmbedderName = "auto"
    embedder_url: str = ""
    embedder_model: str = ""
    minilm_folder: Path | None = None
    index: Literal["chroma", "exact"] = "chroma"
    k: int = Field(default=3, ge=1, le=20)
    max_lines: int = Field(default=8, ge=1, le=20)
    max_tokens: int = Field(default=350, ge=20)
    mmr_lambda: float = Field(default=0.7, ge=0, le=1)
    floor: float | None = None


class BudgetSettings(Record):
    """The wall. None means no limit of that kind."""

    calls: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)
    usd: float | None = Field(default=None, gt=0)


class Settings(Record):
    """All of strategist.toml. `folder` is where the file lies; everything the project writes goes under it."""

    folder: Path = Path()
    domain: str = "parcel"
    database: Path = Path(".strategist/strategist.db")
    seed: int = Field(default=0, ge=0)
    serve_status: Literal["approved", "admitted"] = "admitted"
    student: ModelSettings = ModelSettings()
    advisor: AdvisorSettings = AdvisorSettings()
    customer: PlayerSettings = PlayerSettings()
    judge: JudgeSettings = JudgeSettings()
    teach: TeachSettings = TeachSettings()
    gate: GateSettings = GateSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    budget: BudgetSettings = BudgetSettings()

    @property
    def database_path(self) -> Path:
        """Absolute path of the database."""
        return (self.folder / self.database).resolve()

    @property
    def learning_hash(self) -> str:
        """Hash of everything that decides what is learned: not places, the budget, prices, or how fast models are asked."""
        plain = self.model_dump(mode="json", exclude={"folder", "database", "budget", "serve_status"})
        if self.judge == JudgeSettings():
            del plain["judge"]  # as before there were any: their runs can be resumed
        for section in (plain["student"], plain["advisor"]["model"], plain["customer"]["model"], plain.get("judge", {}).get("model")):
            for name in NOT_LEARNED if section else ():
                del section[name]
        return digest(plain)


def load_settings(path: Path) -> Settings:
    """Read strategist.toml. Raises SettingsError naming file and key for anything wrong."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"no settings file at {path}", hint="run `strategist init` here, or pass --settings FILE") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {path}: {error}", hint="--settings takes a text file, usually strategist.toml") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}", hint="the line and column are where the reader gave up") from None
    try:
        if "folder" in raw:
            raise SettingsError(f"{path}: folder: unknown setting", hint="it is always the folder of this file; leave it out")
        return Settings.model_validate({**raw, "folder": path.resolve().parent})
    except ValidationError as error:
        raise SettingsError(_explain(path, error), hint="`strategist init --print` shows every setting with its default") from None


def _explain(path: Path, error: ValidationError) -> str:
    return "\n".join(f"{path}: {_fault(problem)}" for problem in error.errors())


def _fault(problem: ErrorDetails) -> str:
    """One wrong setting in words, with what was probably meant."""
    *section, name = (str(part) for part in problem["loc"])
    where = f"[{'.'.join(section)}] {name}" if section else name
    given = problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown setting{_meant(name, section)}"
    if problem["type"] == "literal_error":
        known = re.findall(r"'([^']*)'", problem.get("ctx", {}).get("expected", ""))
        near = difflib.get_close_matches(str(given), known, n=1)
        return f"{where} is {given!r}; it must be {' or '.join(map(repr, known))}" + (f"; did you mean {near[0]!r}?" if near else "")
    if problem["type"] == "model_type":
        return f"{where} is {given!r}; it must be a section: [{'.'.join([*section, name])}]"
    return f"{where}: {problem['msg']} (got {given!r})"


def _meant(name: str, section: list[str]) -> str:
    """The near setting of the same section, else the sections that do have a setting of this name."""
    fields = _sections()
    near = difflib.get_close_matches(name, fields.get(".".join(section), ()), n=1, cutoff=0.75)
    if near:
        return f"; did you mean {near[0]!r}?"
    homes = [f"[{home}]" if home else "the top of the file" for home, names in fields.items() if name in names]
    return f"; it belongs to {' or '.join(homes)}" if homes else ""


def _sections(model: type[Record] = Settings, prefix: str = "") -> dict[str, tuple[str, ...]]:
    """Section -> names of its settings."""
    found = {prefix: tuple(name for name in model.model_fields if name != "folder")}
    for name, info in model.model_fields.items():
        for kind in (info.annotation, *get_args(info.annotation)):
            if isinstance(kind, type) and issubclass(kind, Record):
                found |= _sections(kind, f"{prefix}.{name}" if prefix else name)
    return found
