"""Where guidance goes in a request: one delimited block at the end of the last user message.

Pure: messages and lines in, messages out. It knows no model, no library and no tool loop. Invariants: without lines the very same messages
come back; the block opens and closes exactly once, whatever customers, tools or strategies contain; what goes in is never changed, so the
block cannot get into the stored history. Tool messages of a turn stand behind its user message, and tools as text add to that message
before the block, so the block is the same in every step of a tool loop.

What reads like a delimiter: a bracket, the letters of `guidance` or what looks like them, a bracket, and between them anything but letters
and digits. Only round brackets and the plain double quote end it: the first are what a look-alike is turned into, the second keeps
`["guidance"]` what it is in JSON, so JSON stays JSON. Look-alikes are found by a table; another eye may see more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from string import ascii_letters, digits
from typing import NamedTuple

from strategist.records.chat import Message

OPEN = "[guidance]"
CLOSE = "[/guidance]"
PREFACE = "Within the company's rules, your reply must do this:"
"""Measured on a 1.5B, see docs/log.md: told to follow and not to mention advice, it followed less."""
COPIED = (OPEN, PREFACE)
"""What only a copy of the block says; small models write it behind their reply, or begin in its middle."""

# What may stand for each letter of the word. Compatibility forms (wide, mathematical, superscript, circled), accents and capitals need no
# place here, they are folded. From Unicode's confusables (UTS 39), the Latin letters with strokes, hooks and tails, the small capitals, the
# letters in coloured boxes, and digits and signs that people write for letters.
_LOOKS = (
    "g69q\u018d\u01e5\u0260\u0261\u0262\u029b\u050d\u0581\u13c0\u13f3\u1d79\u1d83\ua4d6\ua7a1\uab36\U0001f156\U0001f176\U0001f1ec",
    "uv\u0289\u028a\u028b\u03bc\u03bd\u03c5\u0438\u0446\u045f\u057d\u1200\u144c\u1d1c\u1d7e\u1d7f\u1d99\u222a\u22c3\ua4f4\ua79f\ua7b9"
    "\uab4e\uab52\U000104f6\U000118d8\U00016f42\U0001f164\U0001f184\U0001f1fa",
    "i!1l|\u00a1\u0131\u0142\u019a\u01c0\u0268\u0269\u026a\u026b\u03b9\u0456\u04cf\u05d5\u05df\u0627\u0661\u06f1\u07ca\u13a5\u16c1"
    "\u1d7b\u1d7c\u1d96\u2223\u2373\u23fd\u2502\u2c93\u2d4f\ua4f2\ua647\U0001028a\U00010309\U00010320\U000118c3\U00016f28\U0001df1a"
    "\U0001f158\U0001f178\U0001f1ee",
    "d\u00f0\u0111\u018c\u0221\u0256\u0257\u0501\u056a\u13a0\u13e7\u146f\u15de\u15ea\u1d05\u1d06\u1d6d\u1d81\u1d91\u2202\ua4d2\ua4d3"
    "\ua77a\ua7c8\U0001f153\U0001f173\U0001f1e9",
    "a4@\u0251\u028c\u03b1\u03bb\u0430\u0434\u13aa\u15c5\u1d00\u1d8f\u1d90\u237a\u2c65\ua4ee\uab30\U000102a0\U00016f40\U0001f150"
    "\U0001f170\U0001f1e6",
    "n\u014b\u019e\u0235\u0272\u0273\u0274\u03b7\u03bd\u03c0\u0438\u043f\u0572\u0578\u057c\u05d7\u144e\u1d0e\u1d70\u1d87\u2229\u22c2"
    "\u2c9b\ua4e0\ua791\ua7a5\uab3b\U00010513\U0001f15d\U0001f17d\U0001f1f3",
    "c\u00a2\u00a9\u0188\u023c\u0255\u037c\u03c3\u0441\u04ab\u13df\u1455\u1d04\u20ac\u2282\u2ca5\ua4da\ua793\ua794\U000102a2"
    "\U00010302\U0001043d\U0001051c\U000118e9\U000118f2\U0001df1d\U0001f74c\U0001f152\U0001f172\U0001f1e8",
    "e3\u01dd\u0247\u0259\u025b\u03b5\u03be\u03c3\u0435\u0454\u04bd\u04bf\u13ac\u1d07\u1d92\u1d93\u20ac\u212e\u2208\u220a\u22ff\u2c78"
    "\u2d39\ua4f0\uab32\uab33\uab34\U00010286\U000118c6\U000118ce\U0001f154\U0001f174\U0001f1ea",
)
_PLACES = {char: frozenset(place for place, looks in enumerate(_LOOKS) if char in looks) for char in "".join(_LOOKS)}

# Unicode's opening and closing punctuation, which round brackets are not; also less and greater, and what is drawn like a bracket.
_OPENERS = (
    "<[{\u0f3a\u0f3c\u169b\u201a\u201e\u2045\u226e\u228f\u2308\u230a\u231c\u231e\u2329\u23a1\u23a2\u23a3\u2768\u276a\u276c\u276e"
    "\u2770\u2772\u2774\u27c5\u27e6\u27e8\u27ea\u27ec\u27ee\u2983\u2985\u2987\u2989\u298b\u298d\u298f\u2991\u2993\u2995\u2997\u29d8"
    "\u29da\u29fc\u2e22\u2e24\u2e26\u2e28\u2e42\u2e55\u2e57\u2e59\u2e5b\u3008\u300a\u300c\u300e\u3010\u3014\u3016\u3018\u301a\u301d"
    "\ufd3e\ufd3f\ufe17\ufe37\ufe39\ufe3b\ufe3d\ufe3f\ufe41\ufe43\ufe47\ufe5b\ufe5d\ufe64\uff1c\uff3b\uff5b\uff5f\uff62"
)
_CLOSERS = (
    ">]}\u0f3b\u0f3d\u169c\u2046\u226f\u2290\u2309\u230b\u231d\u231f\u232a\u23a4\u23a5\u23a6\u2769\u276b\u276d\u276f\u2771\u2773"
    "\u2775\u27c6\u27e7\u27e9\u27eb\u27ed\u27ef\u2984\u2986\u2988\u298a\u298c\u298e\u2990\u2992\u2994\u2996\u2998\u29d9\u29db\u29fd"
    "\u2e23\u2e25\u2e27\u2e29\u2e56\u2e58\u2e5a\u2e5c\u3009\u300b\u300d\u300f\u3011\u3015\u3017\u3019\u301b\u301e\u301f\ufd3e\ufd3f"
    "\ufe18\ufe38\ufe3a\ufe3c\ufe3e\ufe40\ufe42\ufe44\ufe48\ufe5c\ufe5e\ufe65\uff1e\uff3d\uff5d\uff60\uff63"
)
_ENDS = '"()\u207d\u207e\u208d\u208e\ufe35\ufe36\ufe59\ufe5a\uff08\uff09'
_BLANK_LETTERS = "\u115f\u1160"
"""Fillers: letters by category, but nobody sees them."""

_HOPELESS = _ENDS + "".join(char for char in ascii_letters + digits if char.lower() not in _LOOKS[0])
_OPENER = re.compile(f"[{re.escape(_OPENERS)}](?![{re.escape(_HOPELESS)}])")  # most brackets in JSON and HTML are told apart here
_ROUNDED = str.maketrans(dict.fromkeys(_CLOSERS, ")") | dict.fromkeys(_OPENERS, "("))


def place(messages: Sequence[Message], lines: Sequence[str]) -> tuple[Message, ...]:
    """Put the lines at the end of the last user message. No lines, or no user message: the same messages, unchanged.

    With lines, look-alikes of the delimiters in everything but the system message turn into round brackets."""
    wanted = [line for line in (" ".join(line.split()) for line in lines) if line]
    last = last_user(messages)
    if not wanted or last is None:
        return tuple(messages)
    advice = defuse("\n".join(f"- {line}" for line in wanted))  # as one text: a look-alike may begin in one line and end in the next
    block = "\n".join(["", "", OPEN, PREFACE, advice, CLOSE])
    out = [message if message.role == "system" else _defused(message) for message in messages]
    out[last] = out[last].model_copy(update={"content": out[last].content + block})
    return tuple(out)


def without_copy(reply: str) -> str:
    """A reply to a guided request, up to where it copies the block or writes what reads like a delimiter of it."""
    starts = [start for start, _ in islice(_look_alikes(reply), 1)] + [at for words in COPIED if (at := reply.find(words)) >= 0]
    return reply[: min(starts, default=len(reply))]


def last_user(messages: Sequence[Message]) -> int | None:
    """Index of the last user message; None where there is none."""
    return next((index for index in range(len(messages) - 1, -1, -1) if messages[index].role == "user"), None)


def has_delimiter(text: str) -> bool:
    """Whether the text contains something that reads like one of the block's delimiters."""
    return next(_look_alikes(text), None) is not None


def defuse(text: str) -> str:
    """The text with every look-alike of a delimiter in round brackets, so that it neither opens nor closes a block.

    Nothing but brackets is changed, and nothing at all without a look-alike. Time is linear in the length."""
    out, at = [], 0
    for start, end in _look_alikes(text):
        out += [text[at:start], "(", text[start + 1 : end - 1].translate(_ROUNDED), ")"]
        at = end
    return "".join([*out, text[at:]]) if out else text


def _defused(message: Message) -> Message:
    content = defuse(message.content)
    calls = tuple(call.model_copy(update={"arguments": defuse(call.arguments)}) for call in message.tool_calls)
    if content == message.content and calls == message.tool_calls:
        return message
    return message.model_copy(update={"content": content, "tool_calls": calls})


def _look_alikes(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each look-alike, brackets included; in order and apart from each other.

    Reads on from an opening bracket for as long as the word can still come of it. `begun` maps numbers of letters that may have been read
    so far to the bracket before them: a sign that looks like a letter may be one or nothing, and a bracket may begin the word anew."""
    at = 0
    while (opener := _OPENER.search(text, at)) is not None:
        begun, at = {0: opener.start()}, opener.end()
        while begun and at < len(text):
            char = text[at]
            at += 1
            if len(_LOOKS) in begun and char in _CLOSERS:
                yield begun[len(_LOOKS)], at
                break
            if char in _OPENERS:
                begun[0] = at - 1
            else:
                for part in _parts(char):
                    begun = _read_on(begun, part)


class _Part(NamedTuple):
    """What a part of a character may be: the letter at these places of the word, or nothing at all."""

    places: frozenset[int]
    nothing: bool


def _read_on(begun: dict[int, int], part: _Part) -> dict[int, int]:
    if part.nothing and not part.places:
        return begun
    read = {letters + 1: start for letters, start in begun.items() if letters in part.places}
    return {**begun, **read} if part.nothing else read  # of two ways to one number of letters, the one that was begun later


@lru_cache(maxsize=4096)
def _parts(char: str) -> tuple[_Part, ...]:
    """The parts of a character's compatibility form, capitals folded."""
    if char in _ENDS:
        return (_Part(frozenset(), nothing=False),)
    parts = unicodedata.normalize("NFKD", char)
    return tuple(_Part(_PLACES.get(part.casefold(), frozenset()), _says_nothing(part)) for part in parts)


def _says_nothing(char: str) -> bool:
    """Whether a reader spells the same word without it: blanks, signs, marks on letters and what is not seen at all."""
    category = unicodedata.category(char)
    return category[0] not in "LN" or category == "Lm" or char in _BLANK_LETTERS
