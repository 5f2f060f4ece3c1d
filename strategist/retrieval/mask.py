"""Masking and the key text of a turn: what retrieval compares.

Two moments are alike when the same thing is asked, whoever asks it about whichever parcel. So names, numbers, dates, codes and addresses
become typed placeholders (`<name>`, `<code>`, ...) before a text is embedded, indexed or kept as a key. Pure: nothing here knows a
library, a model or a database.

Invariants: masking a masked text changes nothing; a masked text holds no digit, no e-mail address and no link. Names can only be
guessed (after an introduction or a title; capitalised in mid-sentence, in languages that do not capitalise every noun): masking
lowers the risk that personal data is kept, it does not rule it out.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from strategist.languages import Language, language_of
from strategist.records.chat import Message

AGENT_WORDS = 80
"""Of the agent's message the last words are kept: a question to the customer stands at its end."""
CUSTOMER_WORDS = 120
"""Of a customer's message the first words are kept: below the 256 tokens that MiniLM reads."""

_Rules = tuple[tuple[str, re.Pattern[str]], ...]


class _Patterns(NamedTuple):
    """Placeholders with what they stand for, in order; then introductions of names."""

    rules: _Rules
    introductions: tuple[re.Pattern[str], ...]


@cache
def _patterns(language: Language) -> _Patterns:
    own = language.masking
    url = rf"(?:https?://|www\.)[^\s<>\"']+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:{own.sites})\b(?!@)(?:/[^\s<>]*)?"
    money = rf"[$€£]\s?\d[\d.,]*\d|[$€£]\s?\d|\b\d+(?:[.,]\d+)*{own.amount_end}"
    rules = (
        ("<url>", re.compile(url, re.I)),
        ("<email>", re.compile(r"[\w.+%-]+@(?:[\w-]+(?:\.[\w-]+)*|<url>)")),
        ("<money>", re.compile(money, re.I)),
        *((placeholder, re.compile(pattern, re.I)) for placeholder, pattern in own.forms),
        *_NUMBERS,
    )
    return _Patterns(rules, tuple(map(re.compile, own.introductions)))


_NUMBERS: _Rules = (
    ("<code>", re.compile(r"#?\b(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*\b")),
    ("<phone>", re.compile(r"(?<!\w)\+?\(?\d{2,4}\)?(?:[\s/.-]\(?\d{2,8}\)?){2,5}(?!\w)|(?<!\w)\+\d{7,15}(?!\w)")),
    ("<code>", re.compile(r"#?\b\d{6,}(?:-\d+)*\b|#\d+\b|\b\d+(?:-\d+)+\b")),
    ("<number>", re.compile(r"\d+(?:[.,]\d+)*%?|\d")),
)
_TOKEN = re.compile(r"<[a-z]+>|[^\W\d_][\w'\u2019-]*|[^\w\s]|\s+|.", re.DOTALL)
_SENTENCE_END = frozenset(".!?:;\n\u2022*-\u2013\u2014(\"\u201c'\u2018[|")


@lru_cache(maxsize=4096)
def mask(text: str, language: str = "en") -> str:
    """Replace personal and particular parts by typed placeholders, as the language writes them.

    `language` is the domain's code; outside English the guess by capitals in mid-sentence is left out (German capitalises every noun).
    Raises DomainError for a language that is not supported.
    """
    own = language_of(language)
    patterns = _patterns(own)
    for placeholder, pattern in patterns.rules:
        text = pattern.sub(placeholder, text)
    for pattern in patterns.introductions:
        text = pattern.sub(lambda match: _keep_intro(match, own.masking.no_names), text)
    if own.masking.capitals:
        text = _mask_capitals(text, own.masking.no_names)
    return _without_digits(text)


def key_text(messages: Sequence[Message], language: str = "en") -> str:
    """The masked key of a conversation: the state before the agent's next reply, one line a field.

    The customer's last message; before it, where there are, the customer's first message and the agent's last (an empty line if there is
    none between them). Messages after the customer's last (the tool loop of the turn) change nothing. Empty if no customer has spoken.
    """
    said = [i for i, message in enumerate(messages) if message.role == "user"]
    if not said:
        return ""
    first, last = said[0], said[-1]
    agent = next((m.content for m in reversed(messages[:last]) if m.role == "assistant" and m.content.strip()), "")
    customer = _words(messages[last], language)
    before = " ".join(mask(agent, language).split()[-AGENT_WORDS:])
    if first < last:
        return "\n".join((_words(messages[first], language), before, customer))
    return f"{before}\n{customer}" if before else customer


def _words(message: Message, language: str) -> str:
    return " ".join(mask(message.content, language).split()[:CUSTOMER_WORDS])


def words(text: str) -> list[str]:
    """Lower-case words and placeholders of a (masked) text, in order: what BM25 and the hashed embedder count."""
    return _WORD.findall(text.lower())


_WORD = re.compile(r"<[a-z]+>|[^\W_]{2,}")


def _keep_intro(match: re.Match[str], no_names: Container[str]) -> str:
    if match["name"].rstrip(".") in no_names:
        return match[0]
    return f"{match['intro']} <name>"


def _mask_capitals(text: str, no_names: Container[str]) -> str:
    """Capitalised words that do not open a sentence are taken for names; runs of them become one placeholder."""
    out: list[str] = []
    opening = True
    for token in _TOKEN.findall(text):
        if token.isspace():
            opening = opening or "\n" in token
            out.append(token)
            continue
        if not opening and _looks_like_a_name(token, no_names):
            token = "<name>"  # noqa: PLW2901
            if out[-1].isspace() and len(out) > 1 and out[-2] == "<name>":
                out.pop()
                continue
        out.append(token)
        opening = token in _SENTENCE_END
    return "".join(out)


def _looks_like_a_name(token: str, no_names: Container[str]) -> bool:
    plain = re.split(r"['\u2019]", token)[0]
    return token[0].isupper() and any(c.islower() for c in plain) and plain not in no_names


def _without_digits(text: str) -> str:
    """Digits glued to letters of other scripts escape the patterns above; none may remain."""
    return re.sub(r"\d+", "<number>", text) if re.search(r"\d", text) else text
