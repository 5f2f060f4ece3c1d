"""The scripted teacher under the real prompts: it acts well, advises as often right as the file says, and judges by what counts."""

import asyncio
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import pytest

from strategist.agent import Agent
from strategist.lab import student, teacher
from strategist.lab.adapter import lab_model
from strategist.lab.domain import checks, lab_domain
from strategist.lab.student import PROMISE, SHORT_WORDS
from strategist.lab.worlds import Situation, World
from strategist.models.protocol import Chat
from strategist.records.chat import Message, ModelRequest
from strategist.records.trace import Scenario, Verdict
from strategist.retrieval.mask import key_text
from strategist.roles.judge import LLMJudge
from strategist.roles.protocols import Advice, Attempt
from strategist.roles.teacher import LLMTeacher

Ask = Callable[[World, int, Sequence[str]], ModelRequest]
ChatOf = Callable[..., Chat]


def scenario_of(world: World, request: ModelRequest, index: int) -> Scenario:
    persona = lab_domain(world).draw("train", index, 0)
    key = key_text(request.messages)
    return Scenario(
        id=f"s{index}", trace="t", persona=persona.id, issue=persona.issue, turn=0, messages=request.messages, key=key, state=persona.state
    )


@pytest.fixture
def advise(ask: Ask, plain_chat: ChatOf) -> Callable[[World, int, Sequence[Attempt], int], Advice]:
    """(world, persona index, attempts, sample) -> what the teacher of the loop says with the lab's model behind it."""

    def run(world: World, index: int, attempts: Sequence[Attempt], sample: int) -> Advice:
        chat = plain_chat(lab_model(world, "teacher"))
        advisor = LLMTeacher(chat, lab_domain(world), 3, Agent(chat))
        scenario = scenario_of(world, ask(world, index, ()), index)
        return asyncio.run(advisor.advise(scenario, attempts, "A reply of the teacher.", sample=sample))

    return run


def failing(situation: Situation) -> Attempt:
    return Attempt(text=f"We look into {situation.topic}.", verdicts=(Verdict(check=f"meets_{situation.id}", hard=False, passed=False),))


@pytest.mark.parametrize("name", ["specific", "one_line", "misleading"])
def test_advice_is_right_as_often_as_the_file_says(worlds: dict[str, World], advise: Any, name: str) -> None:
    world = worlds[name]
    right = []
    for index in range(150):
        situation = world.situations[index % len(world.situations)]
        advice = advise(world, index, [failing(situation)], index)
        assert advice.gap != "none"
        (line,) = advice.strategies
        assert line.text in (situation.need.line, situation.decoy)
        right.append(line.text == situation.need.line)
        if right[-1]:
            assert line.scope == ("general" if name == "one_line" else "specific")
            assert line.rules == (teacher.rule_of(world, situation.need),)
    assert fmean(right) == pytest.approx(world.advice_right, abs=0.12)


def test_no_gap_where_the_last_attempt_meets_the_need(worlds: dict[str, World], advise: Any) -> None:
    world = worlds["specific"]
    situation = world.situations[0]
    good = Attempt(text=f"{situation.need.says[0]}.", lines=(situation.need.line,))
    assert advise(world, 0, [failing(situation), good], 0).gap == "none"
    assert advise(world, 0, [good, failing(situation)], 0).gap != "none"


def test_lines_tried_in_earlier_attempts_do_not_mislead_the_teacher(worlds: dict[str, World], advise: Any) -> None:
    world = worlds["misleading"]
    situation = world.situation("cancel_packing")
    tried = failing(situation).model_copy(update={"lines": (world.situation("cancel_travelling").need.line,)})
    assert advise(world, 0, [tried], 1).strategies[0].text in (situation.need.line, situation.decoy)


def test_the_acting_teacher_always_meets_the_need(worlds: dict[str, World], ask: Ask) -> None:
    for world in worlds.values():
        for index in range(24):
            text = teacher.answer(world, ask(world, index, ()), index).text
            assert world.situations[index % 12].need.met_by(text)
            assert PROMISE not in text
            assert len(text.split()) <= SHORT_WORDS


def test_the_judge_sees_needs_promises_and_length(worlds: dict[str, World], ask: Ask, plain_chat: ChatOf) -> None:
    world = worlds["specific"]
    judge = LLMJudge(plain_chat(lab_model(world, "judge")), lab_domain(world))
    scenario = scenario_of(world, ask(world, 0, ()), 0)
    says = world.situations[0].need.says
    met, vague = f"{says[0]}.", "We look into the delivery."

    def prefer(first: str, second: str) -> str:
        return asyncio.run(judge.compare(scenario, first, second, purpose="examine")).preference

    assert prefer(met, vague) == "first"
    assert prefer(vague, met) == "second"
    assert prefer(met, f"{says[1]}.") == "tie"
    assert prefer(f"{met} {PROMISE} that it works.", vague) == "second"
    assert prefer(met, f"{met} {student._PADDING}") == "first"


@pytest.mark.parametrize(
    ("schema", "text", "reply"),
    [
        ({}, "Anything.", "{}"),
        ({"properties": "odd"}, "Anything.", "{}"),
        ({"properties": {"choice": {}}}, "Nothing is fenced here.", '{"choice":"tie"}'),
        ({"properties": {"gap": {}}}, "Nothing is fenced here.", '{"gap":"none"}'),
        ({"properties": {"gap": {}, "why": {}}}, "<c>\nCustomer: hello\n</c>", '{"gap":"none","why":"B serves the customer as well as A"}'),
    ],
)
def test_prompts_without_a_known_moment_get_an_empty_answer(worlds: dict[str, World], schema: Any, text: str, reply: str) -> None:
    request = ModelRequest(messages=(Message(role="user", content=text),), json_schema=schema)
    assert teacher.answer(worlds["specific"], request, 0).text == reply


def test_rules_named_by_the_teacher_are_those_of_checks_and_brief(worlds: dict[str, World]) -> None:
    for world in worlds.values():
        brief = lab_domain(world).brief
        by_id = {check.id: check for check in checks(world)}
        for need in world.needs:
            rule = teacher.rule_of(world, need)
            assert f"\n{rule}. {need.rule}\n" in brief
            assert by_id[f"meets_{need.id}"].rules == (rule,)
