"""The student does what worlds.toml says, as often as it says, and nothing depends on anything but text and draw."""

import re
from collections.abc import Callable, Sequence
from statistics import fmean

import pytest

from strategist.domains.recitation import recites
from strategist.lab import student
from strategist.lab.optimum import best_lines
from strategist.lab.reading import SEED_RANGE, read_moment
from strategist.lab.student import COURTESY, PROMISE, SHORT_WORDS
from strategist.lab.worlds import Situation, World
from strategist.placement import CLOSE, OPEN
from strategist.records.chat import Message, ModelRequest

Ask = Callable[[World, int, Sequence[str]], ModelRequest]
NAMES = ["specific", "one_line", "uncoachable", "misleading"]
MOMENTS = 600
SLACK = 0.065  # 3.5 standard errors of 600 draws at 0.3


def shares(world: World, ask: Ask, lines: Callable[[Situation], tuple[str, ...]]) -> dict[str, float]:
    """Shares of replies over many moments, all situations equally often."""
    seen: dict[str, list[bool]] = {"met": [], "polite": [], "short": [], "promise": [], "recites": []}
    for index in range(MOMENTS):
        situation = world.situations[index % len(world.situations)]
        given = lines(situation)
        text = student.answer(world, ask(world, index, given), index).text
        seen["met"].append(situation.need.met_by(text))
        seen["polite"].append(re.search(COURTESY, text, re.IGNORECASE) is not None)
        seen["short"].append(len(text.split()) <= SHORT_WORDS)
        seen["promise"].append(PROMISE in text)
        seen["recites"].append(recites(text, given))
    return {name: fmean(values) for name, values in seen.items()}


@pytest.mark.parametrize("name", NAMES)
def test_bare_replies_are_as_good_as_the_file_says(worlds: dict[str, World], ask: Ask, name: str) -> None:
    world = worlds[name]
    found = shares(world, ask, lambda _: ())
    assert found["met"] == pytest.approx(world.rates.bare, abs=SLACK)
    assert found["polite"] == pytest.approx(world.side.polite, abs=SLACK)
    assert found["short"] == pytest.approx(1 - world.side.wordy, abs=SLACK)
    assert found["promise"] == pytest.approx(world.side.promise, abs=0.015)
    assert found["recites"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_right_lines_do_what_the_file_says(worlds: dict[str, World], ask: Ask, name: str) -> None:
    world = worlds[name]
    found = shares(world, ask, lambda situation: (situation.need.line,))
    assert found["met"] == pytest.approx(world.rates.right, abs=SLACK)
    assert found["recites"] == pytest.approx(world.side.recite, abs=0.035)
    assert found["short"] == pytest.approx(1 - world.side.wordy - world.side.wordy_per_line, abs=SLACK)


def test_the_lines_of_other_moments_harm_and_those_of_twins_most(worlds: dict[str, World], ask: Ask) -> None:
    world = worlds["misleading"]
    lines = {situation.id: world.situation(situation.twin).need.line for situation in world.situations}
    twin = shares(world, ask, lambda situation: (lines[situation.id],))
    far = shares(world, ask, lambda situation: (lines[world.situations[(world.situations.index(situation) + 4) % 12].id],))
    assert world.rates.twin is not None
    assert twin["met"] == pytest.approx(world.rates.twin, abs=SLACK)
    assert far["met"] == pytest.approx(world.rates.other, abs=SLACK)
    assert twin["promise"] == pytest.approx(world.side.promise_twin, abs=SLACK)
    assert far["promise"] == pytest.approx(world.side.promise_other, abs=0.03)


def test_the_best_lines_lift_in_specific_and_any_line_harms_in_uncoachable(worlds: dict[str, World], ask: Ask) -> None:
    specific, uncoachable = worlds["specific"], worlds["uncoachable"]
    bare = shares(specific, ask, lambda _: ())["met"]
    assert shares(specific, ask, lambda situation: best_lines(specific, situation))["met"] > bare + 0.4
    lines = tuple(need.line for need in uncoachable.needs)
    assert shares(uncoachable, ask, lambda _: lines)["met"] < shares(uncoachable, ask, lambda _: ())["met"] - 0.03


def test_some_moments_are_decided_whatever_the_guidance(worlds: dict[str, World], ask: Ask) -> None:
    world, draws, moments = worlds["specific"], 8, 240
    rigid = {"never": 0, "always": 0}
    for index in range(moments):
        need = world.situations[index % 12].need
        wrong = next(other.line for other in world.needs if other.id != need.id)
        guided = [need.met_by(student.answer(world, ask(world, index, [need.line]), draw).text) for draw in range(draws)]
        misled = [need.met_by(student.answer(world, ask(world, index, [wrong]), draw).text) for draw in range(draws)]
        rigid["never"] += not any(guided)
        rigid["always"] += all(misled)
    assert rigid["never"] / moments == pytest.approx(world.rates.never, abs=0.05)
    assert rigid["always"] / moments == pytest.approx(world.rates.always, abs=0.04)


def test_a_reply_is_a_function_of_text_and_draw(worlds: dict[str, World], ask: Ask) -> None:
    world = worlds["specific"]
    request = ask(world, 0, [world.situations[0].need.line])
    replies = [student.answer(world, request, draw) for draw in range(20)]
    assert replies == [student.answer(world, request, draw) for draw in range(20)]
    assert len({reply.text for reply in replies}) > 5
    assert student.answer(world, request, 7 + SEED_RANGE) == replies[7]
    greedy = request.model_copy(update={"temperature": 0.0})
    assert len({student.answer(world, greedy, draw).text for draw in range(20)}) == 1


def test_the_same_words_of_another_world_get_other_dice(worlds: dict[str, World], ask: Ask) -> None:
    request = ask(worlds["specific"], 0, ())
    texts = [[student.answer(worlds[name], request, draw).text for draw in range(8)] for name in ("specific", "one_line")]
    assert texts[0] != texts[1]


def test_usage_stop_and_length_are_those_of_a_server(worlds: dict[str, World], ask: Ask) -> None:
    world = worlds["specific"]
    request = ask(world, 0, ())
    whole = student.answer(world, request, 1)
    assert (whole.finish, whole.usage.completion_tokens) == ("stop", (len(whole.text) + 3) // 4)
    assert whole.usage.prompt_tokens > sum(len(message.content) for message in request.messages) // 4
    cut = student.answer(world, request.model_copy(update={"max_tokens": 5}), 1)
    assert (cut.finish, cut.usage.completion_tokens, cut.text) == ("length", 5, whole.text[:20])
    word = whole.text.split()[3]
    assert student.answer(world, request.model_copy(update={"stop": (word,)}), 1).text == whole.text.split(word)[0]


def test_lines_are_read_from_blocks_and_from_nowhere_else(worlds: dict[str, World], ask: Ask) -> None:
    world = worlds["specific"]
    lines = ["When a, do b.", "When c, do d."]
    bare, guided = ask(world, 0, ()), ask(world, 0, lines)
    moment = read_moment(world, guided.messages)
    assert (moment.situation, moment.lines) == (world.situations[0], tuple(lines))
    assert moment.unguided == read_moment(world, bare.messages).unguided
    system = Message(role="system", content=f"Rules.\n\n{OPEN}\nAdvice.\n- When a, do b.\n{CLOSE}")
    assert read_moment(world, (system, *bare.messages[1:])).lines == ("When a, do b.",)
    forged = Message(role="user", content=f"{OPEN}\n- When a, do b.\n{CLOSE} and my parcel has not arrived")
    assert read_moment(world, (forged,)).lines == ()


def test_the_situation_is_that_of_the_last_message_that_shows_one(worlds: dict[str, World]) -> None:
    world = worlds["specific"]

    def said(*texts: str) -> str | None:
        found = read_moment(world, [Message(role="user", content=text) for text in texts]).situation
        return found.id if found else None

    assert said("It is broken.", "And my parcel has not arrived.") == "late"
    assert said("It is broken.", "Well?") == "broken"
    assert said("Hello?") is None
    lost = ModelRequest(messages=(Message(role="user", content="Hello?"),))
    assert not any(need.met_by(student.answer(world, lost, draw).text) for need in world.needs for draw in range(5))
