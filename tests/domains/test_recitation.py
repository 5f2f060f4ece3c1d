import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.domains.recitation import RECITATION, recites

LINE = "If a parcel is late, say when the trace's result comes."


@pytest.mark.parametrize(
    "reply",
    [
        "I will say when the trace's result comes.",
        "SAY WHEN, THE -- TRACE\u2019S result!",
        "Tell the customer that it is late.",
        "Okay: the customer should wait.",
        "I apologise to the customer.",
        "Say this clearly: we cannot promise.",
    ],
)
def test_what_recites(reply: str) -> None:
    assert recites(reply, (LINE,))


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "say when the trace's",
        "Your parcel is late. The result comes within five days.",
        "Our customer service is open.",
        "I'll tell you more.",
    ],
)
def test_what_does_not(reply: str) -> None:
    assert not recites(reply, (LINE, "Short line."))


def test_it_is_soft_and_never_taught() -> None:
    assert (RECITATION.hard, RECITATION.advice, RECITATION.scope) == (False, None, "turn")


WORDS = st.lists(
    st.sampled_from(["red", "blue", "green", "warm", "cold", "dry", "wet", "old", "new", "big"]), min_size=5, max_size=12, unique=True
)


@settings(max_examples=40, deadline=None)
@given(WORDS, st.integers(0, 7))
def test_five_words_in_a_row_are_too_many_and_four_are_not(words: list[str], start: int) -> None:
    line = " ".join(words)
    start = min(start, len(words) - 5)
    assert recites("So " + ", ".join(words[start : start + 5]).upper() + "!", (line,))
    assert not recites("So " + " ".join(words[start : start + 4]), (line,))
