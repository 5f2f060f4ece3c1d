"""Masking on the way in: what identifies a person leaves a recorded conversation before anything of it is kept.

Numbers are recognised by libraries that are kept up: telephone numbers by phonenumbers (Google's libphonenumber), payment cards, bank
accounts and some national numbers by python-stdnum, which checks their check digits; e-mail addresses and links by the domain's language
(strategist.languages). Names, addresses and birthdays are found by where they stand: in the fields of tool results and arguments that are
called so, then everywhere in the same conversation; and after an introduction ("my name is ..."). What a conversation is about (dates,
prices, flight numbers) stays: masking for retrieval comes on top, later.

It lowers the risk that personal data is kept; names that nothing introduces are not found.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from pydantic import JsonValue

from strategist.languages import language_of
from strategist.records.chat import Message

REGIONS = {"en": "US", "de": "DE"}
"""Where a number without a country's code is dialled, by language, unless the user says otherwise."""

_FIELDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("<email>", re.compile(r"e[-_]?mail", re.I)),
    ("<phone>", re.compile(r"phone|mobile|telefon", re.I)),
    ("<birthday>", re.compile(r"^(dob|birth|geburt)|birth_?da(y|te)|geburts", re.I)),
    ("<address>", re.compile(r"^(address|street|zip|post_?code|postal|plz|stra(ss|ß)e|anschrift)", re.I)),
    ("<name>", re.compile(r"^(first|last|full|given|family|sur|vor|nach)?_?name$", re.I)),
    ("<person>", re.compile(r"^(user|customer|member|kunden?)_?(id|nr|nummer)$", re.I)),
)
_LEAST = 3
"""Shorter values of such fields ("TX", "Al") are masked where they stand, but not looked for elsewhere: they are words, too."""
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_DIGITS = re.compile(r"(?<![\w-])\d(?:[ -]?\d){11,18}(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}\b")
_NATIONAL = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")


class Masker:
    """Masks conversations of one language and counts what it found, by placeholder."""

    def __init__(self, language: str, region: str = "") -> None:
        self._language = language_of(language)
        self._introductions = tuple(re.compile(pattern) for pattern in self._language.masking.introductions)
        self._region = region or REGIONS.get(self._language.code, "US")
        self.found: Counter[str] = Counter()

    def conversation(self, messages: Iterable[Message]) -> tuple[Message, ...]:
        """The messages with their personal parts replaced, each person's values in all of them."""
        plain = tuple(messages)
        known = dict(sorted(self._values(plain), key=lambda item: -len(item[0])))
        pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, known))})(?!\w)", re.I) if known else None
        lower = {value.lower(): placeholder for value, placeholder in known.items()}
        return tuple(self._message(message, pattern, lower) for message in plain)

    def text(self, text: str) -> str:
        """Patterns and introductions only."""
        from phonenumbers import PhoneNumberMatcher
        from stdnum import iban, luhn
        from stdnum.us import ssn

        text = self._replace(_EMAIL, "<email>", text)
        text = self._replace(_IBAN, "<account>", text, iban.is_valid)
        text = self._replace(_DIGITS, "<card>", text, lambda number: luhn.is_valid(re.sub(r"\D", "", number)))
        text = self._replace(_NATIONAL, "<person>", text, ssn.is_valid)
        for match in reversed(list(PhoneNumberMatcher(text, self._region))):
            self.found["<phone>"] += 1
            text = f"{text[: match.start]}<phone>{text[match.end :]}"
        for pattern in self._introductions:
            text = pattern.sub(self._introduced, text)
        return text

    def _message(self, message: Message, pattern: re.Pattern[str] | None, known: Mapping[str, str]) -> Message:
        def mask(text: str) -> str:
            if pattern is not None:
                text = pattern.sub(lambda match: self._counted(known[match[0].lower()]), text)
            return self.text(text)

        calls = tuple(call.model_copy(update={"arguments": mask(self._fields(call.arguments))}) for call in message.tool_calls)
        content = self._fields(message.content) if message.role == "tool" else message.content
        return message.model_copy(update={"content": mask(content), "tool_calls": calls})

    def _values(self, messages: Iterable[Message]) -> Iterator[tuple[str, str]]:
        """What stands in personal fields of tool results and arguments, long enough to be looked for elsewhere."""
        for message in messages:
            texts = [call.arguments for call in message.tool_calls] + ([message.content] if message.role == "tool" else [])
            for text in texts:
                yield from ((value, placeholder) for value, placeholder in _personal(_json(text)) if len(value) >= _LEAST)

    def _fields(self, text: str) -> str:
        """JSON with its personal fields replaced; any other text as it is."""
        value = _json(text)
        return text if value is None else json.dumps(self._masked(value), ensure_ascii=False)

    def _masked(self, value: JsonValue) -> JsonValue:
        if isinstance(value, list):
            return [self._masked(item) for item in value]
        if isinstance(value, dict):
            return {key: self._field(key, item) for key, item in value.items()}
        return value

    def _field(self, key: str, value: JsonValue) -> JsonValue:
        placeholder = _kind(key)
        return self._counted(placeholder) if placeholder and isinstance(value, str | int) else self._masked(value)

    def _replace(self, pattern: re.Pattern[str], placeholder: str, text: str, valid: object = None) -> str:
        def one(match: re.Match[str]) -> str:
            return self._counted(placeholder) if valid is None or (callable(valid) and valid(match[0])) else match[0]

        return pattern.sub(one, text)

    def _introduced(self, match: re.Match[str]) -> str:
        if match["name"].rstrip(".") in self._language.masking.no_names:
            return match[0]
        return f"{match['intro']} {self._counted('<name>')}"

    def _counted(self, placeholder: str) -> str:
        self.found[placeholder] += 1
        return placeholder


def _kind(key: str) -> str:
    return next((placeholder for placeholder, pattern in _FIELDS if pattern.search(key)), "")


def _personal(value: JsonValue, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _personal(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _personal(item, key)
    elif isinstance(value, str) and (placeholder := _kind(key)):
        yield value, placeholder


def _json(text: str) -> JsonValue:
    """The JSON object or list in a text, None for any other text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value: JsonValue = json.loads(text)
    except json.JSONDecodeError:
        return None
    return value
