from dataclasses import replace
from pathlib import Path

import pytest

from strategist.domains.checks import ConversationView, TurnView, conversation_check
from strategist.domains.dry_run import made_up_turns
from strategist.domains.pack import load_domain
from strategist.records.chat import ToolCall


def test_the_handbook_holds_each_line_once_in_the_order_of_the_checks(bakery: Path) -> None:
    domain = load_domain(bakery)
    doubled = replace(domain, checks=(*domain.checks, *domain.checks))
    assert doubled.handbook == domain.handbook
    assert [line.split(",")[0] for line in domain.handbook] == [
        "If the customer asks about nuts",
        "If the customer wants an order changed",
    ]


def test_a_changed_brief_has_another_hash(bakery: Path) -> None:
    domain = load_domain(bakery)
    assert domain.brief_hash != replace(domain, brief=domain.brief + "R5. More.\n").brief_hash


@pytest.mark.parametrize("wrong", ["prod-1-0", "train-1", "train-x-0", ""])
def test_what_is_no_persona_id_is_a_value_error(bakery: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_domain(bakery).persona(wrong)


def view(bakery: Path, **changes: object) -> TurnView:
    turn = made_up_turns(load_domain(bakery).draw("train", 0, 0))[0]
    return replace(turn, **changes)  # type: ignore[arg-type]


def test_a_view_answers_what_was_said_called_and_done(bakery: Path) -> None:
    turn = view(bakery, reply="On FRIDAY.", customer="When?", calls=(ToolCall(id="c", name="move_order", arguments="{}"),))
    assert turn.says("friday")
    assert not turn.says("monday")
    assert turn.customer_says("WHEN")
    assert turn.called("move_order")
    assert not turn.called("bake")
    assert turn.doing("need:move")
    assert not turn.doing("again:move")
    again = view(bakery, acts=frozenset({"again:move"}))
    assert again.doing("need:move")
    assert again.doing("again:move")
    assert not view(bakery, acts=frozenset({"reveal:move"})).doing("need:move")


def test_a_decorated_function_is_a_check_with_its_scope(bakery: Path) -> None:
    @conversation_check("brief_talk", about="Short.", hard=True)
    def brief_talk(talk: ConversationView) -> bool | None:
        return len(talk.turns) < 3

    assert (brief_talk.id, brief_talk.hard, brief_talk.scope) == ("brief_talk", True, "conversation")
    assert load_domain(bakery).checks[0].scope == "turn"
