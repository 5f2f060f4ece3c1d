"""A library from recorded conversations of an airline's service: 200 dialogues of tau-bench with gpt-4o as the agent.

    python -m evals.airline DATA [ROUNDS]    DATA: a folder with dialogues_gpt-4o.jsonl, policy_gpt-4o.md and task_map.json

Makes a temporary pack (the recorded policy, numbered, with checks and a handbook), imports the dialogues with their masked texts, computes
pass^k anew with intervals over tasks, teaches from the train tasks, and looks at what the library says in dialogues of the test tasks. The
student here is a script that follows a line nine times in ten: what is tried is the way from logs to a library, not a student. The last
check: no key, text or coached state of any entry comes from a test task. Exit status 1 where something does, or nothing is learned.

The data are MIT-licensed (Sierra Research); they are not part of this project.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from strategist.loop.recorded import split_states
from strategist.loop.runner import Finished, teach
from strategist.models.adapters.scripted import ScriptedModel
from strategist.models.open import register_adapter
from strategist.placement import CLOSE, OPEN
from strategist.project import Project, open_project
from strategist.recorded.importing import Imported, import_conversations, pass_hats
from strategist.recorded.reading import read_json_lines, read_names
from strategist.records.base import stable_int
from strategist.records.chat import ModelRequest, Reply
from strategist.records.library import Entry
from strategist.settings import GateSettings, ModelSettings, RetrievalSettings, Settings, TeachSettings
from strategist.stats import Estimate, cluster_bootstrap

ADAPTER = "embedded"
SOURCE = "airline"
FILES = ("dialogues_gpt-4o.jsonl", "policy_gpt-4o.md", "task_map.json")

MANIFEST = """name = "airline"
title = "the airline"
reply_words = 150
customers = "recorded"
"""

CHECKS = '''"""Checks of an airline's replies, from its policy."""

import re

from strategist.domains.checks import TurnView, turn_check

_DEED = r"\\b(has|have) been (successfully )?(booked|cancell?ed|updated|changed|modified|upgraded|refunded)\\b"
_WRITES = ("book_reservation", "cancel_reservation", "update_reservation_flights", "update_reservation_baggages",
           "update_reservation_passengers", "send_certificate")


def _knows_customer(view: TurnView) -> bool:
    said = " ".join(m.content for m in view.history if m.role in ("user", "tool"))
    called = any(call.name == "get_user_details" for message in view.history for call in message.tool_calls)
    return called or bool(re.search(r"<person>|user id is", said, re.I))


@turn_check("asks_user_id", about="Who has not said who they are is asked for the user id.", rules=("R14",),
            advice="If the customer has not given a user id yet, ask for the user id before anything else.")
def asks_user_id(view: TurnView) -> bool | None:
    return None if _knows_customer(view) or view.calls else view.says(r"user id")


@turn_check("asks_reason", about="A cancellation needs its reason.", rules=("R25",),
            advice="When a customer wants to cancel a booking and gives no reason, ask for the reason of the cancellation.")
def asks_reason(view: TurnView) -> bool | None:
    said = " ".join(m.content for m in view.history if m.role == "user")
    known = re.search(r"because|change of plan|airline cancel|due to|reason|weather|sick|ill\\b", said, re.I)
    if known or not view.customer_says(r"\\bcancel"):
        return None
    return view.says(r"\\breason\\b|why (do|would) you")


@turn_check("asks_yes", about="An action is listed and confirmed with a yes before it is done.", rules=("R3",),
            advice="Before you carry out an action, list its details and ask the customer to confirm with yes.")
def asks_yes(view: TurnView) -> bool | None:
    if not view.customer_says(r"\\b(book|change|upgrade|add|modify|cancel|proceed)\\b") or any(view.called(name) for name in _WRITES):
        return None
    return view.says(r"\\(yes\\)|\\byes\\b|confirm")


@turn_check("no_opinion", about="No recommendation or opinion of the agent's own.", rules=("R4",),
            advice="Give no recommendation and no opinion of your own.")
def no_opinion(view: TurnView) -> bool | None:
    return not view.says(r"\\bI('d| would)? (recommend|suggest)|\\b(best|great|perfect) (option|choice|deal)")


@turn_check("refund_terms", about="A refund is named with its way and time.", rules=("R28",),
            advice="When you speak of a refund, say that it goes to the original payment method within 5 to 7 business days.")
def refund_terms(view: TurnView) -> bool | None:
    if not view.customer_says(r"refund|money back"):
        return None
    return view.says(r"original payment") and view.says(r"5 (to|-) 7")


@turn_check("no_unasked_gift", about="Compensation only where the customer asks for it.", rules=("R31",), hard=True,
            advice="Offer a certificate or compensation only if the customer asks for it.")
def no_unasked_gift(view: TurnView) -> bool | None:
    said = " ".join(m.content for m in view.history if m.role == "user")
    if re.search(r"compensat|certificate|voucher|gesture|inconvenien", said, re.I):
        return None
    return not view.says(r"\\b(offer|give|provide|send) you (a|some) (certificate|compensation|voucher)")


@turn_check("no_claimed_deed", about="Nothing is said to be done that no tool has done.", hard=True)
def no_claimed_deed(view: TurnView) -> bool | None:
    return not view.says(_DEED) if not view.calls else None


@turn_check("not_long", about="At most 150 words.")
def not_long(view: TurnView) -> bool | None:
    return len(view.reply.split()) <= 150


@turn_check("no_second_start", about="A running conversation is not opened again.")
def no_second_start(view: TurnView) -> bool | None:
    return not view.says(r"how (can|may) I (help|assist) you today") if view.turn else None
'''


class Found(NamedTuple):
    """What the library says in dialogues it was not taught from: states, with guidance, and where a line fits a check that failed there."""

    states: int
    guided: Estimate
    failing: int
    right: int


def build_pack(folder: Path, data: Path) -> Path:
    """A pack of the recorded policy: each of its sentences and list items a numbered rule."""
    pack = folder / "airline"
    pack.mkdir(parents=True, exist_ok=True)
    (pack / "domain.toml").write_text(MANIFEST, encoding="utf-8")
    (pack / "brief.md").write_text(numbered((data / FILES[1]).read_text(encoding="utf-8")), encoding="utf-8")
    (pack / "checks.py").write_text(CHECKS, encoding="utf-8")
    return pack


def numbered(policy: str) -> str:
    """The policy with a number before each paragraph or list item; headings stay."""
    out, number = [], 0
    for line in policy.splitlines():
        text = line.strip().removeprefix("- ")
        if not text or text.startswith("#"):
            out.append(line)
            continue
        number += 1
        out.append(f"R{number}. {text}")
    return "\n".join(out) + "\n"


def lines_with_splits(data: Path) -> str:
    """The dialogues with the split of their task: numbers of the dialogues are not those of the tasks' file."""
    splits = {one["task_id"]: one["split"] for one in json.loads((data / FILES[2]).read_text(encoding="utf-8"))}
    rows = [json.loads(line) for line in (data / FILES[0]).read_text(encoding="utf-8").splitlines()]
    return "\n".join(json.dumps({**row, "split": splits[row["task_id"]]}) for row in rows)


def settings_for(folder: Path, pack: Path, rounds: int) -> Settings:
    """Settings of a small run. Thirty tasks are few, so a test may end with fewer units than usual."""
    return Settings(
        folder=folder,
        domain=str(pack),
        student=ModelSettings(adapter=ADAPTER, model="scripted", path=Path("scripted"), max_in_flight=16),
        teach=TeachSettings(rounds=rounds, conversations=40, scenarios=60, candidates=12, dev_personas=10),
        gate=GateSettings(least=8, most=20),
        retrieval=RetrievalSettings(embedder="hashed"),
    )


def student(request: ModelRequest, draw: int) -> Reply:
    """Answers politely and emptily; follows each line it is given nine times in ten."""
    last = next(m.content for m in reversed(request.messages) if m.role == "user")
    block = last.partition(OPEN)[2].partition(CLOSE)[0]
    said = ["I understand, and I am happy to look into that for you."]
    for number, (pattern, sentence) in enumerate(OBEYS):
        if re.search(pattern, block) and stable_int("obey", draw, number) % 10:
            said.append(sentence)
    if not block and stable_int("habit", draw) % 3 == 0:
        said.append("I recommend the earlier flight, it is the best option.")
    return Reply(text=" ".join(said))


OBEYS = (
    (r"user id", "Could you please give me your user id?"),
    (r"reason", "What is the reason for the cancellation?"),
    (r"confirm with yes", "These are the details of the change. Do you confirm it (yes)?"),
    (r"refund", "The refund goes to the original payment method within 5 to 7 business days."),
)


async def import_and_teach(project: Project, text: str) -> tuple[Imported, Finished]:
    """Bring the dialogues in and teach to the end."""
    conversations = read_json_lines(text, read_names(["group=task_id"]))
    done = await import_conversations(project.store, project.domain, project.embedder.embedder, conversations, source=SOURCE)
    with project.at_work():
        run = project.choose_run(resume=False, new=False)
        async with project.deps(run) as deps:
            finished = await teach(deps, project.checkpoints, lambda event: None)
    return done, finished


async def found_in_test(project: Project) -> Found:
    """Ask the library at every state of the test tasks' dialogues."""
    run = project.last_run()
    assert run is not None
    async with project.deps(run) as deps:
        known = split_states(deps, "test")
        retriever = await deps.retriever(deps.library_now())
        advice = {check.id: check.advice for check in deps.domain.checks}
        guided, failing, right = [], 0, 0
        for state in known:
            lines = (await retriever.guidance(state.messages)).lines
            guided.append(float(bool(lines)))
            failed = {advice[v.check] for v in state.verdicts if v.passed is False and advice.get(v.check)}
            failing += bool(failed)
            right += bool(failed & set(lines))
        return Found(len(known), cluster_bootstrap(guided, [state.persona for state in known]), failing, right)


def from_test(project: Project, entries: Sequence[Entry]) -> list[str]:
    """Everything of an entry that comes from a test task: keys by customer, by state, or by text."""
    run = project.last_run()
    assert run is not None
    test = {trace.id: trace for trace in project.store.traces("recorded") if trace.persona.startswith("test-")}
    words = {message.content for trace in test.values() for message in trace.messages if message.role == "user"}
    train = {message.content for trace in project.store.traces("recorded") if trace.id not in test for message in trace.messages}
    out = []
    for entry in entries:
        for key in entry.keys:
            if not key.persona.startswith(("train-",)) or key.scenario.partition(".")[0] in test:
                out.append(f"{entry.ref}: key of {key.persona}")
        for strategy in entry.strategies:
            out += [f"{entry.ref}: {strategy.text}" for said in words - train if len(said.split()) > 5 and said in strategy.text]
        for pair in entry.evidence.pairs if entry.evidence else ():
            if not pair.persona.startswith("train-"):
                out.append(f"{entry.ref}: tested on {pair.persona}")
    return out


def main() -> None:
    data, rounds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    register_adapter(ADAPTER, lambda settings: ScriptedModel("scripted", student))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = settings_for(folder, build_pack(folder, data), rounds)
        with open_project(settings) as project:
            done, finished = asyncio.run(import_and_teach(project, lines_with_splits(data)))
            matters = {turn.issue for trace in done.traces for turn in trace.turns}
            print(f"{len(done.traces)} traces in; {sum(done.masked.values()):,} values masked; {len(matters)} matters")
            for one in pass_hats(done.traces):
                print(f"pass^{one.k} {one.estimate.mean:.3f} [{one.estimate.low:.3f}, {one.estimate.high:.3f}], n = {one.estimate.n} tasks")
            entries = project.library.entries()
            calls = project.calls.spent(finished.id).calls
            print(f"{finished.id} ended: {finished.stop}; {len(entries)} entries, {calls:,} calls, seed {finished.seed}")
            for entry in entries:
                assert entry.evidence is not None
                print(f"- {entry.strategies[0].text} ({entry.evidence.wins}:{entry.evidence.losses}, {len(entry.keys)} keys)")
            found = asyncio.run(found_in_test(project))
            share = found.guided
            print(
                f"test dialogues: {found.states} states, guidance at {share.mean:.2f} [{share.low:.2f}, {share.high:.2f}] "
                f"(n = {share.n} tasks); where the recorded agent failed a check with advice ({found.failing}), "
                f"its line was given {found.right} times"
            )
            leaks = from_test(project, entries)
            print(f"from test tasks: {len(leaks)}")
            sys.exit(1 if leaks or not entries else 0)


if __name__ == "__main__":
    main()
