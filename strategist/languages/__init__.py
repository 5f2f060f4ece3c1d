"""The languages that a domain can be in, by code. What is particular to one is data in its own module (`english`, `german`).

Owns the list and the words for a language that is not on it. A region is part of the code and changes nothing: `de-CH` is German.
"""

from __future__ import annotations

from functools import cache

from strategist.errors import DomainError
from strategist.languages.english import ENGLISH
from strategist.languages.german import GERMAN
from strategist.languages.language import Language

__all__ = ["SUPPORTED", "Language", "language_of"]

SUPPORTED: dict[str, Language] = {language.code: language for language in (ENGLISH, GERMAN)}


@cache
def language_of(code: str) -> Language:
    """The language of a code such as `en`, `de` or `de-CH`. Raises DomainError for one that is not supported, naming those that are."""
    language = SUPPORTED.get(code.split("-", maxsplit=1)[0].lower())
    if language is None:
        known = ", ".join(f"`{each.code}` ({each.name})" for each in SUPPORTED.values())
        raise DomainError(
            f"the language {code!r} is not supported; there are {known}",
            hint='set `language` in domain.toml to one of these; "Other languages" in docs/domains.md says how to add one',
        )
    return language
