"""What is particular to a language, as data: what masking, retrieval, lint, checks and the simulated customer ask of it.

Pure data: regular expressions are texts, compiled where they are used (case ignored unless said otherwise); words are in small letters.
Nothing here knows what it is used for beyond the names of the fields. Texts that speak to a model (prompts, the preface of guidance, notes
of tools) are English in every language; `tells_agent` and its neighbours say which language is to be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

BarName = Literal["promise", "secrecy", "personal", "safeguard", "obedience", "machinery", "channel"]


@dataclass(frozen=True, eq=False)
class Masking:
    """Personal and particular parts of a text.

    `sites`: top-level domains of bare addresses. `amount_end`: what follows the number of a sum. `forms`: placeholder and expression of
    dates, times and what else is written in its own way, in the order in which they are tried. `introductions`: expressions with the
    groups `intro` and `name`, case told apart; `no_names` follow an introduction and are none. `capitals`: whether a capital in
    mid-sentence makes a name.
    """

    sites: str
    amount_end: str
    forms: tuple[tuple[str, str], ...]
    introductions: tuple[str, ...]
    no_names: frozenset[str]
    capitals: bool


@dataclass(frozen=True, eq=False)
class Wording:
    """How an order opens.

    `conditions` open a condition, `then` opens what follows it; `never` cannot open an order, nor can what `subjects` matches. `objects`
    and `phrases` can, but only an order whose verb comes last: then the clause must end like `verb_last` (case told apart) and hold none of
    `finite`, or hold `asks` (case told apart); `phrases` also open a condition before an order in a later clause. Where these are empty, no
    order ends in its verb. `noun_endings` are endings of words that cannot be the verb of an order, with `verbs_despite` as exceptions.
    """

    conditions: frozenset[str]
    never: frozenset[str]
    then: str
    noun_endings: tuple[str, ...]
    verbs_despite: frozenset[str] = frozenset()
    subjects: str = ""
    objects: frozenset[str] = frozenset()
    phrases: frozenset[str] = frozenset()
    finite: frozenset[str] = frozenset()
    verb_last: str = ""
    asks: str = ""


@dataclass(frozen=True, eq=False)
class Bar:
    """Something that no line may want: one of the `acts` and one of the `things` in a clause, or one of the `phrases`. Regular expressions
    of whole words. `anywhere`: also in a condition, and nothing turns it around: a line has no reason to speak of it at all."""

    name: BarName
    acts: str = ""
    things: str = ""
    phrases: str = ""
    anywhere: bool = False


@dataclass(frozen=True, eq=False)
class Advice:
    """What a line of advice may not hold.

    `injection` and `bars` are tried in every language, whatever the domain's is: who attacks chooses the words. `turns` turn an act around
    ("never"), unless one of `turns_back` follows ("hesitate") or one of `parts` stands between ("and"); `alternatives` join the last two of
    a list, `pronouns` may stand for a thing. `number_words` are numbers as they are written out, `sum_units` follow the number of a sum or
    share, `span` follows that of a duration and has the group `unit`, `moments` are dates and deadlines beyond 2026-05-12, 12.05.2026 and
    14:30. `titles` stand before a name (case told apart); `fields` name what a placeholder in square brackets stands for.
    """

    wording: Wording
    example: str
    injection: str
    number_words: Mapping[str, str]
    sum_units: str
    span: str
    moments: str
    titles: str
    fields: str
    bars: tuple[Bar, ...]
    turns: str
    turns_back: str
    parts: str
    alternatives: str
    pronouns: str


@dataclass(frozen=True, eq=False)
class Customer:
    """The simulated customer: the script's own phrases by mood, and how a model that plays falls out of its part.

    `tags` and `speakers` stand before a colon at the start of a line: the customer's own, and those of anybody. `agents` are those of the
    agent, `agent_voice` is what only an agent says."""

    moods: Mapping[str, tuple[str, ...]]
    thanks: Mapping[str, tuple[str, ...]]
    leaving: Mapping[str, tuple[str, ...]]
    tags: str
    speakers: str
    agents: str
    agent_voice: str


@dataclass(frozen=True, eq=False)
class Language:
    """One language. `stop_words` count nothing in BM25, `common_words` nothing in hashed vectors. `service_words` any company's service
    uses: they say nothing about whose line it is. `endings` make forms of one word, each compared with the others without them.

    `addresses_agent` is how a reply reads that repeats its guidance, `speaks_to_us` how a customer's text does that is meant for those who
    teach, test or instruct the agent. `tells_agent`, `tells_advisor` and `tells_customer` are added to the
    prompts of these roles; empty for English, in which the prompts are written."""

    code: str
    name: str
    masking: Masking
    stop_words: frozenset[str]
    common_words: frozenset[str]
    advice: Advice
    customer: Customer
    addresses_agent: str
    speaks_to_us: str
    service_words: frozenset[str] = frozenset()
    endings: tuple[str, ...] = ()
    tells_agent: str = ""
    tells_advisor: str = ""
    tells_customer: str = ""
