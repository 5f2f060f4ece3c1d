"""Lint: what a line of advice must look like before anyone tests it. Pure.

A strategy is one imperative line, with its condition first where it has one; the student reads it, the customer must not. So: no example
sentences (students copy them), nothing taken from the conversation it was written for (six words in a row, names, codes), no promise of
money or time that the brief does not make, no link or number to contact, nothing that reads as an order to the model or closes our block.
No disguise either, no other language than the domain's, and nothing that no line may want (`disguise`, `overreach`). What fails is kept
with its reason and never becomes an entry. The rules are regular expressions over the words of the line's language
(strategist.languages): they catch what was seen, they prove nothing. Orders to the model, and what no line may want, are looked for in
all languages at once.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Literal, NamedTuple

from strategist.languages import SUPPORTED, Language, language_of
from strategist.languages.language import BarName, Masking, Wording
from strategist.library.disguise import code_in, foreign_to, odd_letter, readings, unseen_character
from strategist.library.overreach import overreach
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
    "coded",
    "language",
    "lines",
    "promise",
    "secrecy",
    "personal",
    "safeguard",
    "obedience",
    "machinery",
    "channel",
]

BARRED: dict[BarName, str] = {
    "promise": "gives away what the brief does not give",
    "secrecy": "hides something from the company",
    "personal": "asks for secrets, or hands out what belongs to others",
    "safeguard": "switches off a check or a rule",
    "obedience": "puts the customer's orders above the brief",
    "machinery": "speaks of advice, tests or audits instead of the customer's matter",
    "channel": "sends the customer elsewhere",
}
"""What is said of a line that wants what no line may want."""


class LintFault(Record):
    """One broken rule, with what was found."""

    rule: Rule
    message: str


def lint_candidate(
    strategies: Sequence[Strategy], *, teacher_reply: str | None, customer_texts: Sequence[str], brief: str, language: str = "en"
) -> list[LintFault]:
    """Faults of all lines of a candidate, each message opening with its line's number; also more than five lines, or one line twice."""
    faults = [LintFault(rule="lines", message=f"{len(strategies)} lines, at most {MAX_LINES}")] if len(strategies) > MAX_LINES else []
    seen: set[tuple[str, ...]] = set()
    for number, strategy in enumerate(strategies, start=1):
        found = lint_strategy(strategy.text, teacher_reply=teacher_reply, customer_texts=customer_texts, brief=brief, language=language)
        faults += [LintFault(rule=fault.rule, message=f"line {number}: {fault.message}") for fault in found]
        words = tuple(_words(strategy.text))
        if words in seen:
            faults.append(LintFault(rule="lines", message=f"line {number}: the same as an earlier line"))
        seen.add(words)
    return faults


def lint_strategy(
    text: str, *, teacher_reply: str | None, customer_texts: Sequence[str], brief: str, language: str = "en"
) -> list[LintFault]:
    """Faults of one line, in a fixed order; empty if it may be tested.

    `customer_texts` are what the customer said in the conversation the line was written for, `teacher_reply` the reply it must not give
    away, `brief` the policy whose amounts and times may be named, `language` the code of the domain's language. Raises DomainError for a
    language that is not supported.
    """
    own = language_of(language)
    if not text.strip():
        return [LintFault(rule="empty", message="the line is empty")]
    plain = _plain(text)
    spoken = [*customer_texts, *([teacher_reply] if teacher_reply else [])]
    findings = (
        ("characters", unseen_character(text)),
        ("one_line", "more than one line" if len(text.splitlines()) > 1 else None),
        ("too_long", _too_long(plain)),
        ("delimiter", "contains our own delimiter" if has_delimiter(text) else None),
        ("injection", _injected(plain)),
        ("contact", _first(_contact(own), plain, "link, e-mail address or phone number")),
        ("example", _first(_example(own), plain, "example sentence or quotation")),
        ("wording", _wording(plain, own.advice.wording)),
        ("copy", _copied(plain, spoken, brief)),
        ("money", _not_in_brief(_amounts(plain, own), _amounts(brief, own), "amount that the brief does not name")),
        ("time", _not_in_brief(_times(plain, own), _times(brief, own), "date or deadline that the brief does not name")),
        ("particular", _particular(plain, spoken, brief, own)),
        ("characters", odd_letter(text)),
        ("coded", f"encoded or garbled: {code}" if (code := code_in(plain, brief)) else None),
        ("language", f"not in {own.name}: {words}" if (words := foreign_to(plain, own)) else None),
        (wants.bar if (wants := overreach(plain, brief)) else "promise", f"{BARRED[wants.bar]}: {wants.words!r}" if wants else None),
    )
    return [LintFault.model_validate({"rule": rule, "message": message}) for rule, message in findings if message]


_QUOTED = r"[\"\u201c\u201d\u201e\u00ab\u00bb`]|(?<!\w)['\u2018][^'\u2019]*\s[^'\u2019]*['\u2019](?!\w)"
_MARKUP = r"<\|[^|]*\|>|</?(?:system|assistant|user|tool)>|(?:^|\s)(?:system|assistant|user)\s*:|#{3,}|\[/?inst\]"


@cache
def _contact(language: Language) -> re.Pattern[str]:
    """Sites of any ending, also spelt out; numbers, also in words. Far wider than masking: a line has no need of a dot inside a word."""
    site = r"h(?:tt|xx)ps?\W*//|www\.|\b[a-z0-9-]{2,}\.[a-z]{2,}\b|[\w.+-]+@[\w-]+"
    site = rf"{site}|\b[a-z0-9-]+\s*[.(\[{{]+\s*(?:{language.masking.sites})\b"
    spelt = r"\b\w+\W+(?:dot|punkt)\W+[a-z]{2,}\b|\w+\W+(?:at|ät)\W+\w+\W+(?:dot|punkt)\b"
    spoken = rf"\b(?:(?:{'|'.join(language.advice.number_words)})\b\W*){{5,}}"
    number = r"(?<!\w)\+?\(?\d{2,4}\)?(?:[\s/.-]\(?\d{2,8}\)?){2,}|\+?\d{8,}"
    return re.compile(f"{site}|{spelt}|{spoken}|{number}", re.I)


@cache
def _example(language: Language) -> re.Pattern[str]:
    return re.compile(f"{_QUOTED}|{language.advice.example}", re.I)


@cache
def _injection() -> re.Pattern[str]:
    """In every language, whatever the line's is: who attacks chooses the words."""
    return re.compile("|".join([*(language.advice.injection for language in SUPPORTED.values()), _MARKUP]), re.I)


def _wording(text: str, own: Wording) -> str | None:
    """The line, or after a condition one of its later clauses, must open like an order. Told by openings that cannot be one."""
    clauses = [clause for clause in re.split(rf"[,;:\u2013\u2014]|\b{own.then}\b", text, flags=re.I) if _words(clause)]
    if not clauses:
        return "no words"
    first = _words(clauses[0])
    later = any(_commands(clause, own, opening=False) for clause in clauses[1:])
    if first[0] not in own.conditions:
        ok = _commands(clauses[0], own) or (later and first[0] in own.phrases and own.finite.isdisjoint(first))
    else:
        alone = len(clauses) == 1 or first[0] in own.phrases
        ok = later or (alone and (not own.verb_last or _ends_in_order(clauses[0], own)))
    return None if ok else f"not an order, with its condition first if it has one: {' '.join(first[:4])!r} ..."


def _commands(clause: str, own: Wording, *, opening: bool = True) -> bool:
    """Whether a clause can be an order: by its first word, or by its end where this one may stand before an order's object."""
    words = _words(clause)
    first = words[0]
    if first in own.never or not first[0].isalpha() or (own.verb_last and first in own.conditions):
        return False
    if own.subjects and re.match(rf"\W*(?:{own.subjects})\b", clause, re.I):
        return False
    noun = first.endswith(own.noun_endings) and first not in own.verbs_despite
    if own.verb_last and (noun or first in own.objects | own.phrases or (not opening and clause.lstrip("( ")[0].isupper())):
        return _ends_in_order(clause, own)
    return not noun


def _ends_in_order(clause: str, own: Wording) -> bool:
    """An infinitive at the end or a polite imperative, and no finite verb or subject that would make it a statement."""
    words = re.findall(r"[^\W_]+", re.sub(r"\(?\bR\d+\)?", "", clause))
    ends = bool(words) and re.fullmatch(own.verb_last, words[-1]) is not None
    return own.finite.isdisjoint(_words(clause)) and (ends or re.search(own.asks, clause) is not None)


def _too_long(text: str) -> str | None:
    count = len(text.split())
    if count > MAX_WORDS:
        return f"{count} words, at most {MAX_WORDS}"
    return f"{len(text)} characters, at most {MAX_CHARACTERS}" if len(text) > MAX_CHARACTERS else None


def _copied(text: str, spoken: Sequence[str], brief: str) -> str | None:
    """Six words in a row that the customer or the teacher used, unless they stand in the brief."""
    allowed = _grams(brief)
    heard = set().union(*(_grams(part) for part in (*spoken, " ".join(spoken)))) - allowed  # pieces of a line may come one by one
    copied = [gram for gram in _ordered_grams(text) if gram in heard]
    return f"copies {' '.join(copied[0])!r} from the conversation" if copied else None


def _grams(text: str) -> set[tuple[str, ...]]:
    return set(_ordered_grams(text))


def _ordered_grams(text: str) -> list[tuple[str, ...]]:
    words = _words(text)
    return [tuple(words[i : i + COPY_WORDS]) for i in range(len(words) - COPY_WORDS + 1)]


class _Numbers(NamedTuple):
    """Expressions for sums, durations and moments."""

    amount: re.Pattern[str]
    span: re.Pattern[str]
    moment: re.Pattern[str]


_WRITTEN_MOMENT = r"\b\d{4}-\d{1,2}-\d{1,2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|\b\d{1,2}:\d{2}\b"


@cache
def _numbers(language: Language) -> _Numbers:
    own = language.advice
    quantity = rf"(?P<n>\d+(?:[.,]\d+)*|\b(?:{'|'.join(own.number_words)})\b)"
    return _Numbers(
        re.compile(rf"[$\u20ac\u00a3]\s?(?P<a>\d+(?:[.,]\d+)*)|{quantity}{own.sum_units}", re.I),
        re.compile(quantity + own.span, re.I),
        re.compile(f"{_WRITTEN_MOMENT}|{own.moments}", re.I),
    )


def _amounts(text: str, language: Language) -> list[str]:
    return [_number(match["a"] or match["n"], language) for match in _numbers(language).amount.finditer(text)]


def _times(text: str, language: Language) -> list[str]:
    own = _numbers(language)
    spans = [f"{_number(match['n'], language)} {match['unit'].lower()}" for match in own.span.finditer(text)]
    return spans + [match[0].lower() for match in own.moment.finditer(text)]


def _number(text: str, language: Language) -> str:
    """One form for `five`, `5`, `5.00` and `5,00`; thousands separators are dropped."""
    plain = language.advice.number_words.get(text.lower(), text)
    plain = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", plain).replace(",", ".")
    return re.sub(r"\.0+$", "", plain)


def figures_in(text: str, language: str) -> frozenset[str]:
    """The amounts and times that a text names, each in the one form in which lines and briefs are compared."""
    own = language_of(language)
    return frozenset([*_amounts(text, own), *_times(text, own)])


def _not_in_brief(named: Sequence[str], allowed: Sequence[str], what: str) -> str | None:
    extra = [item for item in named if item not in allowed]
    return f"{what}: {extra[0]}" if extra else None


def _particular(text: str, spoken: Sequence[str], brief: str, language: Language) -> str | None:
    """Placeholders, codes and names: whatever belongs to one customer."""
    own = language.advice
    if placeholder := re.search(rf"<[a-z_]+>|\{{[a-z_]+\}}|\[(?:{own.fields})[^\]]*\]", text, re.I):
        return f"placeholder {placeholder[0]}"
    code = re.search(r"\b(?=[A-Za-z0-9-]*\d)(?=[A-Za-z0-9-]*[A-Z])[A-Za-z0-9-]{5,}\b|#\d+|\b\d{6,}\b", text)
    if code and code[0] not in brief:
        return f"code or number of one case: {code[0]}"
    names = [name for name in _heard_names(text, spoken, language.masking) if not re.search(rf"\b{name}\b", brief)]
    title = re.search(own.titles, text)
    guilty = [title[0]] if title else names
    return f"name of a person or place in the conversation: {guilty[0]}" if guilty else None


def _heard_names(text: str, spoken: Sequence[str], own: Masking) -> list[str]:
    """Words of the line that were names in the conversation. A capitalised word in mid-sentence counts if it was said there; where every
    noun has a capital, if somebody was introduced by it."""
    if own.capitals:
        heard = {name for part in spoken for name in re.findall(r"\b[A-Z][a-z]+\b", part)}
        return [match[0] for match in re.finditer(r"(?<=[a-z,] )[A-Z][a-z]+\b", text) if match[0] in heard]
    found = (match["name"] for part in spoken for pattern in own.introductions for match in re.finditer(pattern, part))
    heard = {word.lower() for name in found for word in re.findall(r"[^\W\d_]{2,}", name)}
    return [word for word in re.findall(r"[^\W\d_]+", text) if word[0].isupper() and word.lower() in heard]


def _injected(text: str) -> str | None:
    return next(filter(None, (_first(_injection(), reading, "reads as an order to the model") for reading in readings(text))), None)


def _first(pattern: re.Pattern[str], text: str, what: str) -> str | None:
    match = pattern.search(text)
    return f"{what}: {match[0].strip()!r}" if match else None


def _plain(text: str) -> str:
    """The text as a reader sees it: compatibility forms folded, invisible characters gone, blanks single."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return " ".join(seen.split())


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['\u2019][^\W_]+)*", text.lower())
