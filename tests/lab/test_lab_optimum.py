"""The closed forms agree with conversations that are really played, and the best library is the one the world was made for."""

import asyncio
from collections.abc import Callable, Sequence
from statistics import fmean

import pytest

from strategist.agent import Agent
from strategist.conversation import play
from strategist.lab.adapter import lab_model
from strategist.lab.domain import lab_domain
from strategist.lab.optimum import LabArm, best_lines, expected, expected_random, known_best, share_of_best
from strategist.lab.reading import latest_situation
from strategist.lab.worlds import World
from strategist.models.protocol import Chat
from strategist.records.chat import Message
from strategist.records.library import Guidance
from strategist.records.trace import Outcome
from strategist.retrieval.mask import mask
from strategist.roles.scripted_customer import ScriptedCustomer

ChatOf = Callable[..., Chat]
CONVERSATIONS = 240


class Oracle:
    """Guidance by the known situation: what a retrieval that never errs would give."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def guidance(self, messages: Sequence[Message]) -> Guidance:
        situation = latest_situation(self.world, [message.content for message in messages if message.role == "user"])
        assert situation is not None
        return Guidance(lines=best_lines(self.world, situation), reason="fixed")


class Everything(Oracle):
    async def guidance(self, messages: Sequence[Message]) -> Guidance:
        return Guidance(lines=tuple(need.line for need in self.world.needs), reason="fixed")


@pytest.fixture
def played(plain_chat: ChatOf) -> Callable[[World, Oracle | None], list[Outcome]]:
    def run(world: World, source: Oracle | None) -> list[Outcome]:
        domain, agent = lab_domain(world), Agent(plain_chat(lab_model(world, "student")), retriever=source)

        async def all_of_them() -> list[Outcome]:
            out = []
            for index in range(CONVERSATIONS):
                persona = domain.draw("train", index, 0)
                trace = await play(agent, ScriptedCustomer(), domain, persona, purpose="examine", max_turns=6, index=index, sample=index)
                assert trace.outcome is not None
                assert 1 <= len(trace.turns) <= 5
                out.append(trace.outcome)
            return out

        return asyncio.run(all_of_them())

    return run


@pytest.mark.parametrize(
    ("name", "arm"),
    [("specific", "bare"), ("specific", "best"), ("one_line", "best"), ("uncoachable", "handbook"), ("misleading", "best")],
)
def test_closed_forms_agree_with_played_conversations(
    worlds: dict[str, World], played: Callable[[World, Oracle | None], list[Outcome]], name: str, arm: LabArm
) -> None:
    world = worlds[name]
    sources = {"bare": None, "best": Oracle(world), "handbook": Everything(world)}
    outcomes = played(world, sources[arm])
    found = expected(world, arm)
    needs = [verdict.passed for outcome in outcomes for verdict in outcome.verdicts if verdict.check.startswith("meets_")]
    promises = [not verdict.passed for outcome in outcomes for verdict in outcome.verdicts if verdict.check == "no_promise"]
    assert fmean(bool(passed) for passed in needs) == pytest.approx(found.meets, abs=0.05)
    assert fmean(promises) == pytest.approx(found.promises, abs=0.02)
    assert fmean(outcome.goal for outcome in outcomes) == pytest.approx(found.goal, abs=0.08)
    assert fmean(outcome.score for outcome in outcomes) == pytest.approx(found.score, abs=0.04)


def test_what_each_world_was_made_for(worlds: dict[str, World]) -> None:
    def meets(name: str, arm: LabArm) -> float:
        return expected(worlds[name], arm).meets

    assert meets("specific", "best") > meets("specific", "bare") + 0.4
    assert meets("specific", "one_line") < meets("specific", "bare") - 0.1
    assert expected_random(worlds["specific"]).meets < meets("specific", "bare") - 0.1
    assert meets("one_line", "one_line") == meets("one_line", "best") > meets("one_line", "bare") + 0.4
    assert expected_random(worlds["one_line"]) == expected(worlds["one_line"], "bare")
    assert expected(worlds["uncoachable"], "best") == expected(worlds["uncoachable"], "bare")
    assert meets("uncoachable", "handbook") < meets("uncoachable", "bare") - 0.04
    assert expected(worlds["misleading"], "twin").score < expected(worlds["misleading"], "bare").score - 0.2


def test_known_best_libraries(worlds: dict[str, World]) -> None:
    for name, count in (("specific", 12), ("one_line", 1), ("uncoachable", 0), ("misleading", 12)):
        world = worlds[name]
        snapshot = known_best(world)
        assert len(snapshot.entries) == count
        assert snapshot.hash == known_best(world).hash
        assert [entry.id for entry in snapshot.entries] == sorted(entry.id for entry in snapshot.entries)
        assert {strategy.text for entry in snapshot.entries for strategy in entry.strategies} <= set(lab_domain(world).handbook)
        for entry in snapshot.entries:
            assert entry.brief_hash == lab_domain(world).brief_hash
            assert entry.scope == ("general" if name == "one_line" else "specific")
            for key in entry.keys:
                assert mask(key.text) == key.text
                found = world.recognise(key.text)
                assert found is not None
                assert (found.id, found.need.line) == (key.issue, entry.strategies[0].text)


def test_share_of_best(worlds: dict[str, World]) -> None:
    world = worlds["specific"]
    bare, best = expected(world, "bare").score, expected(world, "best").score
    assert share_of_best(world, bare) == 0
    assert share_of_best(world, best) == 1
    assert share_of_best(world, (bare + best) / 2) == pytest.approx(0.5)
    assert share_of_best(worlds["uncoachable"], 0.5) is None
