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
from collections.abc import Sequence
from functools import lru_cache

from strategist.records.chat import Message

AGENT_WORDS = 80
"""Of the agent's message the last words are kept: a question to the customer stands at its end."""
CUSTOMER_WORDS = 120
"""Of a customer's message the first words are kept: below the 256 tokens that MiniLM reads."""

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?"
    r"|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_CURRENCY = r"(?:usd|eur|gbp|chf|dollars?|euros?|pounds?|cents?|bucks)"

_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "<url>",
        re.compile(
            r"(?:https?://|www\.)[^\s<>\"']+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|io|eu|de|fr|co\.uk)\b(?!@)(?:/[^\s<>]*)?", re.I
        ),
    ),
    ("<email>", re.compile(r"[\w.+%-]+@(?:[\w-]+(?:\.[\w-]+)*|<url>)")),
    ("<money>", re.compile(rf"[$€£]\s?\d[\d.,]*\d|[$€£]\s?\d|\b\d+(?:[.,]\d+)*\s?(?:[$€£]|{_CURRENCY}\b)", re.I)),
    (
        "<date>",
        re.compile(
            rf"\b\d{{4}}-\d{{1,2}}-\d{{1,2}}\b|\b\d{{1,2}}[./]\d{{1,2}}(?:[./]\d{{2,4}})?\b"
            rf"|\b{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}}\b)?"
            rf"|\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}\b(?:,?\s+\d{{4}}\b)?|\b{_DAY}\b",
            re.I,
        ),
    ),
    ("<time>", re.compile(r"\b\d{1,2}:\d{2}(?::\d{2})?(?:\s?[ap]\.?m\b)?|\b\d{1,2}\s?[ap]\.?m\b", re.I)),
    ("<number>", re.compile(r"\b\d+(?:st|nd|rd|th)\b", re.I)),
    ("<code>", re.compile(r"#?\b(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*\b")),
    ("<phone>", re.compile(r"(?<!\w)\+?\(?\d{2,4}\)?(?:[\s/.-]\(?\d{2,8}\)?){2,5}(?!\w)|(?<!\w)\+\d{7,15}(?!\w)")),
    ("<code>", re.compile(r"#?\b\d{6,}(?:-\d+)*\b|#\d+\b|\b\d+(?:-\d+)+\b")),
    ("<number>", re.compile(r"\d+(?:[.,]\d+)*%?|\d")),
)
_NAME = r"[\w'\u2019-]*(?:\s+[A-Z][\w'\u2019-]*)*"
_INTRODUCTIONS = (
    re.compile(rf"(?P<intro>\b(?:Mr|Mrs|Ms|Dr)\b\.?)\s+(?P<name>[A-Z]{_NAME})"),
    re.compile(rf"(?P<intro>(?i:\bnames?\s+(?:is|are)|\bname's|\bname:))\s+(?P<name>[^\W\d_]{_NAME})"),
    re.compile(rf"(?P<intro>\b(?:[Ii](?:['\u2019]m| am)|[Tt]his is|[Dd]ear|[Hh]i|[Hh]ello))\s+(?P<name>[A-Z]{_NAME})"),
)
_TOKEN = re.compile(r"<[a-z]+>|[^\W\d_][\w'\u2019-]*|[^\w\s]|\s+|.", re.DOTALL)
_SENTENCE_END = frozenset(".!?:;\n\u2022*-\u2013\u2014(\"\u201c'\u2018[|")
_NO_NAMES = frozenset({"I", "Ok", "Okay", "Sorry", "Hi", "Hello", "Dear", "Thanks", "Mr", "Mrs", "Ms", "Dr"})


@lru_cache(maxsize=4096)
def mask(text: str, language: str = "en") -> str:
    """Replace personal and particular parts by typed placeholders.

    `language` is the domain's: outside English the guess by capitals in mid-sentence is left out (German capitalises every noun).
    """
    for placeholder, pattern in _RULES:
        text = pattern.sub(placeholder, text)
    for pattern in _INTRODUCTIONS:
        text = pattern.sub(_keep_intro, text)
    if language == "en":
        text = _mask_capitals(text)
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


def _keep_intro(match: re.Match[str]) -> str:
    if match["name"].rstrip(".") in _NO_NAMES:
        return match[0]
    return f"{match['intro']} <name>"


def _mask_capitals(text: str) -> str:
    """Capitalised words that do not open a sentence are taken for names; runs of them become one placeholder."""
    out: list[str] = []
    opening = True
    for token in _TOKEN.findall(text):
        if token.isspace():
            opening = opening or "\n" in token
            out.append(token)
            continue
        if not opening and _looks_like_a_name(token):
            token = "<name>"  # noqa: PLW2901
            if out[-1].isspace() and len(out) > 1 and out[-2] == "<name>":
                out.pop()
                continue
        out.append(token)
        opening = token in _SENTENCE_END
    return "".join(out)


def _looks_like_a_name(token: str) -> bool:
    plain = re.split(r"['\u2019]", token)[0]
    return token[0].isupper() and any(c.islower() for c in plain) and plain not in _NO_NAMES


def _without_digits(text: str) -> str:
    """Digits glued to letters of other scripts escape the patterns above; none may remain."""
    return re.sub(r"\d+", "<number>", text) if re.search(r"\d", text) else text
