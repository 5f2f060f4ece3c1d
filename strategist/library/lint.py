"""Lint: what a line of advice must look like before anyone tests it. Pure.

A strategy is one imperative line, with its condition first where it has one; the student reads it, the customer must not. So: no example
sentences (students copy them), nothing taken from the conversation it was written for (six words in a row, names, codes), no promise of
money or time that the brief does not make, no link or number to contact, nothing that reads as an order to the model or closes our block.
What fails is kept with its reason and never becomes an entry. The rules are regular expressions for English lines: they catch what was
seen, they prove nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

from strategist.placement import has_delimiter
from strategist.records.base import Record
from strategist.records.library import Strategy

MAX_WORDS = 30
MAX_CHARACTERS = 240
MAX_LINES = 5
COPY_WORDS = 6

Rule = Literal[
    "empty",
    "one_line",
    "too_long",
    "wording",
    "example",
    "copy",
    "contact",
    "money",
    "time",
    "particular",
    "injection",
    "delimiter",
    "characters",
    "lines",
]


class LintFault(Record):
    """One broken rule, with what was found."""

    rule: Rule
    message: str


def lint_candidate(
    strategies: Sequence[Strategy], *, teacher_reply: str | None, customer_texts: Sequence[str], brief: str
) -> list[LintFault]:
    """Faults of all lines of a candidate, each message opening with its line's number; also more than five lines, or one line twice."""
    faults = [LintFault(rule="lines", message=f"{len(strategies)} lines, at most {MAX_LINES}")] if len(strategies) > MAX_LINES else []
    seen: set[tuple[str, ...]] = set()
    for number, strategy in enumerate(strategies, start=1):
        found = lint_strategy(strategy.text, teacher_reply=teacher_reply, customer_texts=customer_texts, brief=brief)
        faults += [LintFault(rule=fault.rule, message=f"line {number}: {fault.message}") for fault in found]
        words = tuple(_words(strategy.text))
        if words in seen:
            faults.append(LintFault(rule="lines", message=f"line {number}: the same as an earlier line"))
        seen.add(words)
    return faults


def lint_strategy(text: str, *, teacher_reply: str | None, customer_texts: Sequence[str], brief: str) -> list[LintFault]:
    """Faults of one line, in a fixed order; empty if it may be tested.

    `customer_texts` are what the customer said in the conversation the line was written for, `teacher_reply` the reply it must not give
    away, `brief` the policy whose amounts and times may be named.
    """
    if not text.strip():
        return [LintFault(rule="empty", message="the line is empty")]
    plain = _plain(text)
    spoken = [*customer_texts, *([teacher_reply] if teacher_reply else [])]
    findings = (
        ("characters", _odd_characters(text)),
        ("one_line", "more than one line" if len(text.splitlines()) > 1 else None),
        ("too_long", _too_long(plain)),
        ("delimiter", "contains our own delimiter" if has_delimiter(text) else None),
        ("injection", _first(_INJECTION, plain, "reads as an order to the model")),
        ("contact", _first(_CONTACT, plain, "link, e-mail address or phone number")),
        ("example", _first(_EXAMPLE, plain, "example sentence or quotation")),
        ("wording", _wording(plain)),
        ("copy", _copied(plain, spoken, brief)),
        ("money", _not_in_brief(_amounts(plain), _amounts(brief), "amount that the brief does not name")),
        ("time", _not_in_brief(_times(plain), _times(brief), "date or deadline that the brief does not name")),
        ("particular", _particular(plain, spoken, brief)),
    )
    return [LintFault.model_validate({"rule": rule, "message": message}) for rule, message in findings if message]


_CONTACT = re.compile(
    r"https?://|www\.|\b[a-z0-9-]+\.(?:com|org|net|io|eu|de|fr|co\.uk)\b|[\w.+-]+@[\w-]+"
    r"|(?<!\w)\+?\(?\d{2,4}\)?(?:[\s/.-]\(?\d{2,8}\)?){2,}|\+?\d{8,}",
    re.I,
)
_EXAMPLE = re.compile(
    r"[\"\u201c\u201d\u201e\u00ab\u00bb`]|(?<!\w)['\u2018][^'\u2019]*\s[^'\u2019]*['\u2019](?!\w)"
    r"|\be\.\s?g\.|\bfor (?:example|instance)\b|\bexample:"
    r"|\b(?:say|reply|write|answer|respond|tell them|phrase)\b[^.:]{0,24}:"
    r"|\bI(?:['\u2019](?:m|ll|ve|d))?(?=\s)",
    re.I,
)
_ORDERS = r"(?:instructions?|rules?|prompts?|polic(?:y|ies)|brief|guidelines?|above|previous)"
_SECRETS = r"(?:prompts?|instructions|guidance|hidden rules|advice)"
_INJECTION = re.compile(
    rf"\b(?:ignore|disregard|forget|override|bypass)\b[^.]{{0,30}}\b{_ORDERS}\b|\b(?:reveal|show|print|repeat|output|leak)\b[^.]{{0,20}}\b{_SECRETS}\b"
    r"|\bsystem (?:prompt|message)\b|\byou are now\b|\bnew (?:instructions|persona|role)\b"
    r"|\b(?:developer|debug|admin|god) mode\b|\bjailbreak|\bdo anything now\b"
    r"|<\|[^|]*\|>|</?(?:system|assistant|user|tool)>|(?:^|\s)(?:system|assistant|user)\s*:|#{3,}|\[/?inst\]",
    re.I,
)
_NOT_IMPERATIVE_WORDS = """
i we you he she it they this that these those there the a an my our your his her their its some many most all every each
customer customers agent agents student model assistant bot reply replies response policy brief what why how who whom which whose
is are was were am be being been can could would will shall may might must should does did has had sorry thanks thank hello hi dear yes no
"""
_CONDITION_WORDS = """
if when whenever unless after before once until while where wherever for in as since because with without on at during
"""
_NOT_IMPERATIVE = frozenset(_NOT_IMPERATIVE_WORDS.split())
_CONDITIONS = frozenset(_CONDITION_WORDS.split())
_COMMANDS_IN_ING = frozenset({"bring", "ring", "cling", "swing", "string"})


def _wording(text: str) -> str | None:
    """The line, or after a condition one of its later clauses, must open like an order. Told by openings that cannot be one."""
    clauses = [_words(clause) for clause in re.split(r"[,;:\u2013\u2014]|\bthen\b", text, flags=re.I)]
    clauses = [clause for clause in clauses if clause]
    if not clauses:
        return "no words"
    if clauses[0][0] not in _CONDITIONS:
        ok = _commands(clauses[0])
    else:
        ok = len(clauses) == 1 or any(_commands(clause) for clause in clauses[1:])
    return None if ok else f"not an order, with its condition first if it has one: {' '.join(clauses[0][:4])!r} ..."


def _commands(words: Sequence[str]) -> bool:
    gerund = words[0].endswith("ing") and words[0] not in _COMMANDS_IN_ING
    return words[0] not in _NOT_IMPERATIVE and not gerund and words[0][0].isalpha()


def _too_long(text: str) -> str | None:
    count = len(text.split())
    if count > MAX_WORDS:
        return f"{count} words, at most {MAX_WORDS}"
    return f"{len(text)} characters, at most {MAX_CHARACTERS}" if len(text) > MAX_CHARACTERS else None


def _odd_characters(text: str) -> str | None:
    """Control, format (zero-width, direction), private and unassigned characters, and line separators other than line breaks."""
    odd = next((c for c in text if c not in "\n\r\t" and unicodedata.category(c) in {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}), None)
    return None if odd is None else f"invisible or control character U+{ord(odd):04X}"


def _copied(text: str, spoken: Sequence[str], brief: str) -> str | None:
    """Six words in a row that the customer or the teacher used, unless they stand in the brief."""
    allowed = _grams(brief)
    heard = set().union(*(_grams(part) for part in spoken)) - allowed
    copied = [gram for gram in _ordered_grams(text) if gram in heard]
    return f"copies {' '.join(copied[0])!r} from the conversation" if copied else None


def _grams(text: str) -> set[tuple[str, ...]]:
    return set(_ordered_grams(text))


def _ordered_grams(text: str) -> list[tuple[str, ...]]:
    words = _words(text)
    return [tuple(words[i : i + COPY_WORDS]) for i in range(len(words) - COPY_WORDS + 1)]


_SMALL_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"
_OTHER_NUMBERS = {"fourteen": "14", "fifteen": "15", "twenty": "20", "thirty": "30", "sixty": "60", "ninety": "90", "hundred": "100"}
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_SMALL_NUMBERS.split())} | _OTHER_NUMBERS
_QUANTITY = rf"(?P<n>\d+(?:[.,]\d+)*|\b(?:{'|'.join(_NUMBER_WORDS)})\b)"
_AMOUNT = re.compile(
    r"[$\u20ac\u00a3]\s?(?P<a>\d+(?:[.,]\d+)*)"
    rf"|{_QUANTITY}\s?(?:[$\u20ac\u00a3%]|(?:percent|per cent|usd|eur|gbp|chf|dollars?|euros?|pounds?|cents?)\b)",
    re.I,
)
_SPAN = re.compile(rf"{_QUANTITY}[\s-]*(?:business |working |calendar |full )?(?P<unit>minute|hour|day|week|month|year)s?\b", re.I)
_MOMENT = re.compile(
    r"\b\d{4}-\d{1,2}-\d{1,2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|\b\d{1,2}:\d{2}\b|\b\d{1,2}\s?[ap]\.?m\b"
    r"|\b(?:january|february|march|april|june|july|august|september|october|november|december)\b(?=\s+\d)"
    r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
    r"|\btomorrow\b|\btonight\b|\bovernight\b|\bnext (?:day|week|month|morning)\b|\bend of (?:the )?(?:day|week|month)\b",
    re.I,
)


def _amounts(text: str) -> list[str]:
    return [_number(match["a"] or match["n"]) for match in _AMOUNT.finditer(text)]


def _times(text: str) -> list[str]:
    spans = [f"{_number(match['n'])} {match['unit'].lower()}" for match in _SPAN.finditer(text)]
    return spans + [match[0].lower() for match in _MOMENT.finditer(text)]


def _number(text: str) -> str:
    """One form for `five`, `5`, `5.00` and `5,00`; thousands separators are dropped."""
    plain = _NUMBER_WORDS.get(text.lower(), text)
    plain = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", plain).replace(",", ".")
    return re.sub(r"\.0+$", "", plain)


def _not_in_brief(named: Sequence[str], allowed: Sequence[str], what: str) -> str | None:
    extra = [item for item in named if item not in allowed]
    return f"{what}: {extra[0]}" if extra else None


def _particular(text: str, spoken: Sequence[str], brief: str) -> str | None:
    """Placeholders, codes and names: whatever belongs to one customer. A capitalised word in mid-sentence counts if it was said there."""
    if placeholder := re.search(r"<[a-z_]+>|\{[a-z_]+\}|\[(?:name|number|date|code|order|amount)[^\]]*\]", text, re.I):
        return f"placeholder {placeholder[0]}"
    code = re.search(r"\b(?=[A-Za-z0-9-]*\d)(?=[A-Za-z0-9-]*[A-Z])[A-Za-z0-9-]{5,}\b|#\d+|\b\d{6,}\b", text)
    if code and code[0] not in brief:
        return f"code or number of one case: {code[0]}"
    heard = {name for part in spoken for name in re.findall(r"\b[A-Z][a-z]+\b", part)}
    names = [match[0] for match in re.finditer(r"(?<=[a-z,] )[A-Z][a-z]+\b", text)]
    title = re.search(r"\b(?:Mr|Mrs|Ms|Dr)\b\.?\s+[A-Z]\w+", text)
    guilty = [title[0]] if title else [name for name in names if name in heard and not re.search(rf"\b{name}\b", brief)]
    return f"name of a person or place in the conversation: {guilty[0]}" if guilty else None


def _first(pattern: re.Pattern[str], text: str, what: str) -> str | None:
    match = pattern.search(text)
    return f"{what}: {match[0].strip()!r}" if match else None


def _plain(text: str) -> str:
    """The text as a reader sees it: compatibility forms folded, invisible characters gone, blanks single."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return " ".join(seen.split())


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['\u2019][^\W_]+)*", text.lower())
