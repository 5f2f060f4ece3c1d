"""A company without checks, and scripted models behind HTTP that talk to it: a judge is all that tells replies apart.

Four matters; the student is vague unless a line for the matter is placed, the teacher says what the matter needs, the judge prefers whoever
does. All are one fake server that tells them apart by the model's name and the schema that is asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from strategist.placement import CLOSE, OPEN
from strategist.records.base import stable_int
from strategist.settings import AdvisorSettings, GateSettings, JudgeSettings, ModelSettings, RetrievalSettings, Settings, TeachSettings
from tests.fake_openai import Answer

MATTERS = {
    "opening hours": ("when are you open", "open from nine to six"),
    "delivery": ("do you deliver", "deliver in the whole town"),
    "vegan cake": ("do you have a vegan cake", "bake a vegan plum cake"),
    "order": ("how do I order", "write the size and the day"),
}
"""Matter -> how it is asked for, and what a good reply says."""


def build_pack(folder: Path) -> Path:
    """The pack: a brief, personas, no checks."""
    pack = folder / "cakes"
    pack.mkdir(parents=True, exist_ok=True)
    (pack / "domain.toml").write_text(
        'name = "cakes"\ntitle = "Crumb"\n[splits]\ntrain = 40\ndev = 8\ntest = 8\n[slots]\nname = ["Ana", "Tom"]\n', encoding="utf-8"
    )
    (pack / "brief.md").write_text("# Crumb\n\nR1. Answer what was asked.\n", encoding="utf-8")
    lines = []
    for matter, (asked, _) in MATTERS.items():
        issue = matter.replace(" ", "_")
        for split in ("train", "dev", "test"):
            wordings = [f"Hello, {asked}? ({split} {number})" for number in range(3)]
            need = {"id": "ask", "wordings": wordings, "met_by": "nothing ever"}
            story = {"id": f"{issue}-{split}", "issue": issue, "split": split, "mood": ["calm"], "patience": [1, 2], "needs": [need]}
            lines.append(json.dumps(story))
    (pack / "personas.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return pack


def matter_of(text: str) -> str | None:
    """The matter that is asked for last in a text."""
    found = [(text.lower().rfind(asked.lower()), matter) for matter, (asked, _) in MATTERS.items()]
    place, matter = max(found)
    return matter if place >= 0 else None


def line_for(matter: str) -> str:
    """What the teacher advises."""
    return f"When the customer asks about {matter}, name the facts of it."


def speak(body: dict[str, Any], number: int) -> Answer:
    """One honest answer."""
    text = "\n".join(str(message["content"]) for message in body["messages"] if message["role"] == "user")
    title = body.get("response_format", {}).get("json_schema", {}).get("schema", {}).get("title", "")
    if title == "GapReport":
        return Answer(json.dumps(_advice(text)))
    if title == "JudgeVerdict":
        return Answer(json.dumps(_verdict(text)))
    matter = matter_of(text)
    block = text.rpartition(OPEN)[2].partition(CLOSE)[0] if OPEN in text else ""
    knows = body["model"].endswith("teacher") or (matter is not None and f"about {matter}" in block and int(body["seed"]) % 20)
    good = MATTERS[matter][1] if matter is not None and knows else "are always here for you"
    return Answer(f"Thank you for asking. We {good}.")


def _advice(text: str) -> dict[str, Any]:
    conversation = text.partition("<conversation>")[2].partition("</conversation>")[0]
    matter = matter_of(conversation)
    lines = [{"text": line_for(matter), "scope": "specific", "rules": ["R1"]}] if matter else []
    gap = "major" if lines else "none"
    return {"need": "facts", "a_better": "names them", "b_better": "is polite", "gap": gap, "why": "B names no facts", "lines": lines}


def _verdict(text: str) -> dict[str, Any]:
    replies = re.findall(r"<reply_[12]>\n(.*?)\n</reply_[12]>", text, re.DOTALL)
    good = [any(answer in reply for _, answer in MATTERS.values()) for reply in replies]
    return {"reason": "facts", "choice": "tie" if good[0] == good[1] else "1" if good[0] else "2"}


def faulty(body: dict[str, Any], number: int) -> Answer:
    """`speak`, with every fault that a server has, each at some of the requests; which ones depends on the request's content."""
    honest = speak(body, number)
    draw = stable_int("fault", json.dumps(body, sort_keys=True), FAULTS.seen(json.dumps(body, sort_keys=True))) % 100
    return next((fault(honest) for low, high, fault in _FAULTS if low <= draw < high), honest)


class Seen:
    """How often a request came before: a fault that passes must pass."""

    def __init__(self) -> None:
        self.times: dict[str, int] = {}

    def seen(self, key: str) -> int:
        self.times[key] = self.times.get(key, 0) + 1
        return self.times[key]


FAULTS = Seen()
_FAULTS: tuple[tuple[int, int, Callable[[Answer], Answer]], ...] = (
    (0, 3, lambda honest: Answer("slow down", status=429, headers={"retry-after": "0.01"})),
    (3, 6, lambda honest: Answer("oops", status=500)),
    (6, 8, lambda honest: Answer(cut=True)),
    (8, 10, lambda honest: Answer(body="<html>garbage</html>")),
    (10, 12, lambda honest: Answer(None, refusal="I would rather not.")),
    (12, 14, lambda honest: Answer((honest.text or "")[: len(honest.text or "") // 2], finish="length")),
    (14, 17, lambda honest: Answer(f"Sure! Here it is: {honest.text} Anything else?")),
)


def settings_for(folder: Path, url: str, adapter: str, **teach: object) -> Settings:
    """A small run in which all roles are played over HTTP; prices are per role, so that bills can be told apart."""

    def model(role: str, price: float) -> ModelSettings:
        name = f"openai/{role}" if adapter == "litellm" else role
        given = {"adapter": adapter, "model": name, "base_url": url, "max_in_flight": 8, "retries": 6, "outage_s": 5, "price_in": price,
                 "price_out": 2 * price, "api_key_env": "UNUSED_KEY"}  # fmt: skip
        return ModelSettings.model_validate(given)

    sizes = {"rounds": 1, "conversations": 8, "scenarios": 8, "candidates": 4, "dev_personas": 4, "max_turns": 1, "teacher_share": (0.5,)}
    return Settings(
        folder=folder,
        domain=str(build_pack(folder)),
        student=model("student", 1.0),
        advisor=AdvisorSettings(kind="model", model=model("teacher", 10.0)),
        judge=JudgeSettings(kind="model", model=model("judge", 5.0)),
        teach=TeachSettings.model_validate({**sizes, **teach}),
        gate=GateSettings(look=2, least=6, most=10, fdr=0.3),
        retrieval=RetrievalSettings(embedder="hashed"),
    )
