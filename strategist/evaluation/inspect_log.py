"""Conversations and scores as logs of inspect_ai, so that its viewer opens them (`inspect view --log-dir FOLDER`).

Pure: traces in, JSON out, by the field names of inspect_ai's log format, version 2 (inspect_ai/log/_log.py of 0.3.285); inspect_ai itself
is not needed. One log is one arm of one study or round: a sample per conversation, the customer as its id, the seed as its epoch. Its
score is the outcome's; a conversation that failed is an error and has none. Guidance and verdicts stand in the metadata, by turn.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

from pydantic import JsonValue

from strategist import __version__
from strategist.records.base import JsonObject, digest
from strategist.records.chat import Message, Usage
from strategist.records.run import RunInfo
from strategist.records.trace import Trace

VERSION = 2
SCORER = "outcome"

Group = tuple[str, int, str]
"""Purpose, round, arm (or who acted)."""


def grouped(traces: Iterable[Trace]) -> dict[Group, list[Trace]]:
    """Traces by what becomes one log."""
    found: dict[Group, list[Trace]] = defaultdict(list)
    for trace in traces:
        found[trace.purpose, trace.round, trace.arm or trace.actor].append(trace)
    return dict(sorted(found.items()))


def file_name(run: RunInfo, group: Group, created: str) -> str:
    """As inspect_ai names its logs: time, task, id."""
    stamp = created.replace(":", "-")
    return f"{stamp}_{_task(run, group)}_{_id(run, group)}.json"


def inspect_log(run: RunInfo, group: Group, traces: Sequence[Trace], *, created: str) -> JsonObject:
    """One log. `created` is an ISO 8601 time with its zone: nothing else in the log knows a clock."""
    epochs: dict[str, int] = defaultdict(int)
    samples: list[JsonValue] = []
    for trace in traces:
        epochs[trace.persona] += 1
        samples.append(_sample(trace, epochs[trace.persona], run.student))
    ids: list[JsonValue] = [*dict.fromkeys(trace.persona for trace in traces)]
    usage = sum((trace.usage for trace in traces), start=Usage())
    return {
        "version": VERSION,
        "status": "success",
        "eval": {
            "created": created,
            "task": _task(run, group),
            "task_id": _id(run, group),
            "eval_id": _id(run, group),
            "run_id": run.id,
            "task_version": 0,
            "task_attribs": {},
            "task_args": {"purpose": group[0], "round": group[1] + 1, "arm": group[2], "seed": run.seed},
            "dataset": {"name": run.domain, "samples": len(ids), "sample_ids": ids, "shuffled": False},
            "model": run.student,
            "model_args": {},
            "config": {"epochs": max(epochs.values(), default=1)},
            "packages": {"strategist": __version__},
            "metadata": {"brief": run.brief_hash, "pack": run.pack_hash, "advisor": run.advisor},
        },
        "plan": {"name": "strategist", "steps": [{"solver": group[2], "params": {}}], "config": {}},
        "results": _results(traces),
        "stats": {"started_at": created, "completed_at": created, "model_usage": {run.student: _usage(usage)}},
        "samples": samples,
    }


def as_text(log: JsonObject) -> str:
    """The log as its file holds it."""
    return json.dumps(log, ensure_ascii=False, indent=1) + "\n"


def _results(traces: Sequence[Trace]) -> JsonObject:
    """Mean over customers of their mean over seeds, with its standard error; n counts customers."""
    by_persona: dict[str, list[float]] = defaultdict(list)
    for trace in traces:
        if trace.outcome is not None and trace.failure is None:
            by_persona[trace.persona].append(trace.outcome.score)
    means = [statistics.fmean(scores) for scores in by_persona.values()]
    metrics: JsonObject = {}
    if means:
        metrics["mean"] = {"name": "mean", "value": statistics.fmean(means)}
    if len(means) > 1:
        metrics["stderr"] = {"name": "stderr", "value": statistics.stdev(means) / math.sqrt(len(means))}
    done = sum(map(len, by_persona.values()))
    score: JsonObject = {"name": SCORER, "scorer": SCORER, "params": {}, "metrics": metrics, "metadata": {"customers": len(means)}}
    return {"total_samples": len(traces), "completed_samples": done, "scores": [score]}


def _sample(trace: Trace, epoch: int, model: str) -> JsonObject:
    messages = [_message(message, f"{trace.id}-{place}") for place, message in enumerate(trace.messages)]
    first = next((place for place, message in enumerate(trace.messages) if message.role == "user"), len(messages) - 1)
    last = next((message for message in reversed(messages) if message["role"] == "assistant"), None)
    choices: list[JsonValue] = [] if last is None else [{"message": last, "stop_reason": "stop"}]
    shown: list[JsonValue] = [*messages]
    sample: JsonObject = {
        "id": trace.persona,
        "epoch": epoch,
        "input": shown[: first + 1],
        "target": "",
        "messages": shown,
        "output": {"model": model, "choices": choices, "usage": _usage(trace.usage)},
        "scores": _scores(trace),
        "metadata": _metadata(trace),
        "store": {},
        "events": [],
        "attachments": {},
        "model_usage": {model: _usage(trace.usage)},
        "uuid": digest(["sample", trace.id, epoch], 22),
    }
    if trace.failure is not None:
        text = f"{trace.failure.kind}: {trace.failure.message}"
        sample["error"] = {"message": text, "traceback": text, "traceback_ansi": text}
    return sample


def _scores(trace: Trace) -> JsonObject:
    outcome = trace.outcome
    if outcome is None or trace.failure is not None:
        return {}
    failed = [v.check if v.turn is None else f"turn {v.turn + 1}: {v.check}" for v in outcome.verdicts if v.passed is False]
    score: JsonObject = {
        "value": outcome.score,
        "answer": trace.turns[-1].reply if trace.turns else "",
        "explanation": "failed: " + "; ".join(failed) if failed else "no check failed",
        "metadata": {"goal": outcome.goal, "ended": outcome.ended, "hard_failures": outcome.hard_failures},
    }
    return {SCORER: score}


def _metadata(trace: Trace) -> JsonObject:
    turns: list[JsonValue] = []
    for turn in trace.turns:
        verdicts: JsonObject = {verdict.check: verdict.passed for verdict in turn.verdicts}
        guidance: JsonObject = {
            "lines": [*turn.guidance.lines],
            "entries": [*turn.guidance.entries],
            "reason": turn.guidance.reason,
            "score": turn.guidance.score,
        }
        turns.append({"turn": turn.index + 1, "guidance": guidance, "verdicts": verdicts})
    return {"trace": trace.id, "issue": trace.issue, "arm": trace.arm, "round": trace.round + 1, "turns": turns}


def _message(message: Message, id_: str) -> JsonObject:
    plain: JsonObject = {"id": id_, "role": message.role, "content": message.content}
    if message.role == "assistant":
        calls: list[JsonValue] = [
            {"id": call.id, "function": call.name, "arguments": _arguments(call.arguments), "type": "function"}
            for call in message.tool_calls
        ]
        if calls:
            plain["tool_calls"] = calls
    if message.role == "tool":
        plain["tool_call_id"] = message.tool_call_id
    return plain


def _arguments(text: str) -> JsonObject:
    """Arguments as an object; what is none is kept under one name."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"text": text}


def _usage(usage: Usage) -> JsonObject:
    total = usage.prompt_tokens + usage.completion_tokens
    return {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens, "total_tokens": total}


def _task(run: RunInfo, group: Group) -> str:
    purpose, round_, arm = group
    return f"{run.domain}-{purpose}-{round_ + 1}-{arm}".replace("_", "-")


def _id(run: RunInfo, group: Group) -> str:
    return digest([run.id, *group], 22)
