"""An import: a file's conversations masked, split, sorted by matter and kept as traces of the run `recorded`.

Knows no check and no model but the embedder that finds topics where the file names no issues. Importing a file again changes nothing; a
conversation that changed replaces its older self. Everything is kept in one transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from strategist.conversation import scenarios_of
from strategist.domains.domain import Domain
from strategist.domains.persona import Split
from strategist.errors import StrategistError
from strategist.recorded.masking import Masker
from strategist.recorded.reading import Conversation
from strategist.recorded.topics import topics
from strategist.recorded.turns import RECORDED, trace_of
from strategist.records.base import stable_int
from strategist.records.chat import RoleName
from strategist.records.trace import Trace
from strategist.retrieval.embed import Embedder
from strategist.retrieval.mask import key_text
from strategist.stats import Estimate, mean_interval, pass_hat
from strategist.store import Store

SHARES: tuple[tuple[Split, float], ...] = (("train", 0.6), ("dev", 0.2), ("test", 0.2))
DEV_OF_TRAIN = 0.2
"""Share of train that becomes dev where a file tells train from test only."""
Who = Literal["agent", "teacher"]
_ROLES: dict[Who, RoleName] = {"agent": "student", "teacher": "teacher"}


@dataclass(frozen=True)
class Imported:
    """What an import kept. `new` and `changed` count conversations against what was there; `masked` what was replaced, by placeholder;
    `erased` are conversations whose texts were erased here: they stay so."""

    traces: tuple[Trace, ...]
    new: int
    changed: int
    masked: Mapping[str, int]
    erased: int = 0


class PassHat(NamedTuple):
    """Probability that k conversations of a task, drawn without putting back, all succeed."""

    k: int
    estimate: Estimate


async def import_conversations(
    store: Store,
    domain: Domain,
    embedder: Embedder,
    conversations: Sequence[Conversation],
    *,
    source: str,
    who: Who = "agent",
    region: str = "",
) -> Imported:
    """Mask, cut and keep the conversations of one file. `who`: whether their agent is to be coached, or is the one to learn from.

    Raises StrategistError for a split that is none."""
    masker = Masker(domain.language, region)
    masked = [masker.conversation(conversation.messages) for conversation in conversations]
    splits = splits_of(conversations, source)
    parts = zip(conversations, masked, splits, strict=True)
    traces = await _sorted_by_matter(
        domain.language,
        embedder,
        [
            trace_of(one, messages, domain=domain.name, source=source, split=split, index=index, actor=_ROLES[who])
            for index, (one, messages, split) in enumerate(parts)
        ],
    )
    with store.transaction():
        before = {trace.id: trace for trace in store.traces(RECORDED, arm=source)}
        gone = {id_ for id_, trace in before.items() if trace.erased}
        traces = tuple(trace for trace in traces if trace.id not in gone)
        for trace in traces:
            store.put_trace(RECORDED, trace.model_copy(update={"arm": source}))
    erased = len(conversations) - len(traces)
    changed = sum(trace.id in before and before[trace.id].messages != trace.messages for trace in traces)
    return Imported(traces, sum(trace.id not in before for trace in traces), changed, dict(masker.found), erased)


def splits_of(conversations: Sequence[Conversation], source: str) -> list[Split]:
    """The split of each conversation: the file's, else by hash of its group, so that a customer is in one split only."""
    given = [conversation.split.lower() for conversation in conversations]
    if wrong := next((one for one in conversations if one.split.lower() not in ("", "train", "dev", "test")), None):
        raise StrategistError(f"line {wrong.line}: the split is {wrong.split!r}", hint="it must be train, dev or test, or be left out")
    no_dev = "train" in given and "dev" not in given
    out: list[Split] = []
    for conversation, split in zip(conversations, given, strict=True):
        draw = stable_int("split", source, conversation.group) / 2**48
        if not split:
            out.append(_drawn(draw))
        elif split == "train" and no_dev and draw < DEV_OF_TRAIN:
            out.append("dev")
        else:
            out.append(cast(Split, split))
    _refuse_both(conversations, out)
    return out


def pass_hats(traces: Sequence[Trace]) -> list[PassHat]:
    """pass^k for every k up to the fewest conversations that a task has, of those with an outcome; intervals over tasks.

    pass^k of a task with c successes in n conversations is C(c, k) / C(n, k), unbiased. Source: Yao et al. (2024), tau-bench,
    arXiv:2406.12045, section 3."""
    tasks: dict[str, list[bool]] = {}
    for trace in traces:
        if trace.outcome is not None:
            tasks.setdefault(trace.persona.partition("-")[2], []).append(trace.outcome.goal)
    if len(tasks) < 2:
        return []
    fewest = min(map(len, tasks.values()))
    each = {k: [pass_hat(sum(goals), len(goals), k) for goals in tasks.values()] for k in range(1, fewest + 1)}
    return [PassHat(k, mean_interval(values)) for k, values in each.items()]


def _drawn(draw: float) -> Split:
    for split, share in SHARES:
        if draw < share:
            return split
        draw -= share
    return "test"


def _refuse_both(conversations: Sequence[Conversation], splits: Sequence[Split]) -> None:
    seen: dict[str, tuple[Split, int]] = {}
    for conversation, split in zip(conversations, splits, strict=True):
        other, line = seen.setdefault(conversation.group, (split, conversation.line))
        if other != split:
            message = f"line {conversation.line}: {conversation.group!r} is in {split} here and in {other} in line {line}"
            raise StrategistError(message, hint="whoever is met in training must not come in a test: give a group one split")


async def _sorted_by_matter(language: str, embedder: Embedder, traces: Sequence[Trace]) -> tuple[Trace, ...]:
    """The traces with a matter for each turn of those that have no issue; such a trace's issue is the matter it opens with."""
    open_ = [trace for trace in traces if not trace.issue]
    moments = [(trace, state) for trace in open_ for state in scenarios_of(trace, lambda messages: key_text(messages, language))]
    keys = [state.key for _, state in moments]
    if not keys:
        return tuple(trace if trace.issue else trace.model_copy(update={"issue": RECORDED}) for trace in traces)
    train = [trace.persona.startswith("train-") for trace, _ in moments]
    found = topics(keys, await embedder.embed(keys), [trace.persona for trace, _ in moments], train, language)
    matter = {state.id: name for (_, state), name in zip(moments, found, strict=True)}
    return tuple(_with_matters(trace, matter) for trace in traces)


def _with_matters(trace: Trace, matter: Mapping[str, str]) -> Trace:
    if trace.issue:
        return trace
    turns = tuple(turn.model_copy(update={"issue": matter[f"{trace.id}.{turn.index}"]}) for turn in trace.turns)
    return trace.model_copy(update={"turns": turns, "issue": turns[0].issue if turns else RECORDED})


def by_split(traces: Sequence[Trace]) -> Counter[str]:
    """Conversations per split."""
    return Counter(trace.persona.partition("-")[0] for trace in traces)
