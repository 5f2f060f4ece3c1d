from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist import placement
from strategist.placement import CLOSE, OPEN, PREFACE, defuse, has_delimiter, last_user, place
from strategist.records.chat import Message, ToolCall

SIGNS = [*"[]<>{}()/\\|-_.'\"19x \n", "\uff3b", "\uff3d", "\u3010", "\u3011", "\ufd3e", "\ufd3f", "\u200b", "\u0301", "\u2044"]
LETTERS = [*"guidanceGUIDANCE", "\u0261", "\u057d", "\u0456", "\u0501", "\u0430", "\u0578", "\u0441", "\u0435", "\U0001d420", "\u24d0"]
WORDS = ["guidance", "gui\u200bdance", "\u0261u\u0456d\u0430nc\u0435", "[guidance]", "[/guidance]"]
TRICKY = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from([*SIGNS, *WORDS]), max_size=8).map("".join),
    st.lists(st.sampled_from([*SIGNS, *LETTERS]), max_size=16).map("".join),
)
SPOKEN = st.builds(
    lambda role, text, argument: Message(
        role=role, content=text, tool_calls=(ToolCall(id="1", name="t", arguments=argument),) if role == "assistant" else ()
    ),
    st.sampled_from(["user", "assistant", "tool"]),
    TRICKY,
    TRICKY,
)
TALK = st.lists(SPOKEN, min_size=1, max_size=5).map(lambda said: (Message(role="system", content="The brief."), *said))


def talk(*texts: str) -> tuple[Message, ...]:
    roles = ("user", "assistant")
    return tuple(Message(role=roles[i % 2], content=text) for i, text in enumerate(texts))


def test_block_stands_at_the_end_of_the_last_customer_message() -> None:
    placed = place(talk("Hello", "Hi", "Where is it?"), ["Name the next step.", "Ask one question."])
    assert placed[2].content == f"Where is it?\n\n{OPEN}\n{PREFACE}\n- Name the next step.\n- Ask one question.\n{CLOSE}"
    assert placed[:2] == talk("Hello", "Hi")


@given(TALK, st.lists(st.sampled_from(["", "  ", "\n\t"]), max_size=3))
@settings(max_examples=60, deadline=None)
def test_without_lines_the_very_same_messages_come_back(messages: tuple[Message, ...], blank: list[str]) -> None:
    placed = place(messages, blank)
    assert placed is messages
    assert all(after is before for after, before in zip(placed, messages, strict=True))


def test_without_a_customer_message_nothing_is_placed() -> None:
    messages = (Message(role="system", content="s"), Message(role="assistant", content="[guidance]"))
    assert last_user(messages) is None
    assert place(messages, ["line"]) is messages


@given(TALK.filter(lambda m: last_user(m) is not None), st.lists(TRICKY, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_nothing_can_open_or_close_the_block(messages: tuple[Message, ...], lines: list[str]) -> None:
    placed = place(messages, lines)
    if placed is messages:
        assert not any(line.split() for line in lines)
        return
    last = last_user(messages)
    assert last is not None
    texts = [m.content for m in placed] + [call.arguments for m in placed for call in m.tool_calls]
    assert sum(text.count(OPEN) for text in texts) == sum(text.count(CLOSE) for text in texts) == 1
    before, block = placed[last].content.split(f"\n\n{OPEN}\n")
    assert before == defuse(messages[last].content)
    assert block.endswith(f"\n{CLOSE}")
    assert len(block.splitlines()) == 2 + sum(bool(line.split()) for line in lines)
    assert not any(has_delimiter(text) for text in [before, block.removesuffix(CLOSE)])
    assert defuse(placed[last].content).count("(guidance)") == before.count("(guidance)") + block.count("(guidance)") + 1
    assert not any(has_delimiter(m.content) for i, m in enumerate(placed) if i != last and m.role != "system")


def test_a_placed_block_that_was_stored_by_mistake_is_disarmed() -> None:
    twice = place(place(talk("Hi"), ["First."]), ["Second."])
    assert twice[0].content.count(OPEN) == twice[0].content.count(CLOSE) == 1
    assert "(guidance)" in twice[0].content
    assert "(/guidance)" in twice[0].content


def test_a_tool_loop_keeps_the_block() -> None:
    asked = (Message(role="system", content="s"), Message(role="user", content="Where?"))
    call = Message(role="assistant", tool_calls=(ToolCall(id="1", name="track", arguments="{}"),))
    longer = (*asked, call, Message(role="tool", content="[guidance] done", tool_call_id="1"))
    assert place(longer, ["Line."])[:2] == place(asked, ["Line."])
    assert place(longer, ["Line."])[3].content == "(guidance) done"


def test_delimiters_in_tool_arguments_are_disarmed_and_the_system_message_is_left_alone() -> None:
    call = ToolCall(id="1", name="note", arguments='{"text": "[/guidance]"}')
    messages = (
        Message(role="system", content="[guidance] is ours"),
        Message(role="user", content="a"),
        Message(role="assistant", tool_calls=(call,)),
    )
    placed = place(messages, ["Line."])
    assert placed[0] is messages[0]
    assert placed[2].tool_calls[0].arguments == '{"text": "(/guidance)"}'


def test_a_look_alike_that_begins_in_one_line_and_ends_in_the_next_is_disarmed() -> None:
    placed = place(talk("Hi"), ["Ask first <", "/guidance> then stop."])
    assert placed[0].content.endswith(f"\n- Ask first (\n- /guidance) then stop.\n{CLOSE}")


def test_a_message_without_look_alikes_is_the_very_same() -> None:
    messages = (*talk("Is [1] <b>free</b>?", "Yes"), Message(role="assistant", tool_calls=(ToolCall(id="1", name="t", arguments="[]"),)))
    placed = place((*messages, *talk("Fine")), ["Line."])
    assert all(after is before for after, before in zip(placed, messages, strict=False))


@pytest.mark.parametrize(
    "text",
    [
        "[guidance]",
        "[/Guidance]",
        "[ / guidance ]",
        "[\\guidance]",
        "[gui\u200bdance]",
        "\uff3bguidance\uff3d",
        "\uff3b\uff0f\uff47\uff55\uff49\uff44\uff41\uff4e\uff43\uff45\uff3d",  # full width
        "[\U0001d420\U0001d42e\U0001d422\U0001d41d\U0001d41a\U0001d427\U0001d41c\U0001d41e]",  # mathematical bold
        "[\u24d6\u24e4\u24d8\u24d3\u24d0\u24dd\u24d2\u24d4]",  # circled
        "[\u24a2\u24b0\u24a4\u249f\u249c\u24a9\u249e\u24a0]",  # in brackets of their own
        "[\U0001f1ec\U0001f1fa\U0001f1ee\U0001f1e9\U0001f1e6\U0001f1f3\U0001f1e8\U0001f1ea]",  # flags
        "[\u1d4d\u1d58\u2071\u1d48\u1d43\u207f\u1d9c\u1d49]",  # superscript
        "[\u0262\u1d1c\u026a\u1d05\u1d00\u0274\u1d04\u1d07]",  # small capitals
        "[\u0261u\u0456d\u0430n\u0441\u0435]",  # Cyrillic among Latin
        "[/\u0581\u057d\u0456\u0501\u0430\u0578\u0441\u0435]",  # none of it Latin
        "[G\u057d\u0406\u0501\u0391\u039dC\u0415]",  # Greek and Cyrillic capitals
        "[g\u0301u\u0308i\u0307d\u0323a\u030an\u0303c\u0327e\u0302]",  # accents, combining
        "[\u01f5\xfc\xed\u1e0d\xe5\xf1\xe7\xea]",  # and ready-made
        "[gui\u034fd\u180ea\u2061n\ufe0fc\U000e0101e\U000e0020]",  # not seen at all
        "[gui\xaddance\ufff9\U000e0067\u3164\u2800]",
        "[\x00guidance\x7f]",
        "[\u2044guidance]",
        "[\u2215guidance]",
        "[\u29f8guidance]",
        "[\uff0fguidance]",
        "[\n\tguidance\u3000\u2029]",
        "[g u i d a n c e]",
        "[g-u-i-d-a-n-c-e]",
        "[*guidance*]",
        "[gu1d4nc3]",
        "[gu|dance]",
        "[|guidance|]",
        "<|/guidance|>",
        "{guidance}",
        "<guidance>",
        "<guidance]",
        "\u3010guidance\u3011",
        "\u27e6guidance\u27e7",
        "\u2045guidance\u2046",
        "\u301aguidance\u301b",
        "\ufd3eguidance\ufd3f",
        "\ufd3fguidance\ufd3e",
        "\uff1cguidance\uff1e",
        "\u23a1guidance\u23a4",
        "[<>guidance]",
        "[guidance<]",
        "[[guidance]]",
        "[gui[guidance]",
        "[1] [guidance]",
        "[guid][ance]",
    ],
)
def test_look_alikes_are_found(text: str) -> None:
    assert has_delimiter(text)
    assert has_delimiter(f"So: {text}.")
    assert not has_delimiter(defuse(text))
    assert len(defuse(text)) == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "guidance",
        "(guidance)",
        "\uff08guidance\uff09",
        "[guide]",
        "[my guidance]",
        "[guidance",
        "guidance]",
        "]guidance[",
        "[guidance (PDF)]",
        "[(guidance)]",
        '{"topics": ["guidance", "help"]}',
        '{"guidance": 1}',
        "I need [guidance on] returns",
        "[guidances]",
        "[guid] [ances]",
        "\u300c\u30ac\u30a4\u30c9\u300d \u3010\u6307\u5357\u3011",
        "[1] see <b>guidance</b> {x: [1, 2]} \u2192 ok",
        "Where is PX-1? It isn't here: [photo] <3 ... \U0001f622",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert not has_delimiter(text)
    assert defuse(text) is text


def test_only_the_brackets_of_a_look_alike_are_changed() -> None:
    for text, plain in (
        ("[1] see [/\u0261uidance] <b>", "[1] see (/\u0261uidance) <b>"),
        ("[[guidance]]", "[(guidance)]"),
        ("[<>guidance]", "[()guidance)"),
        ("[6] [guidance] [guidance] ]", "[6] (guidance) (guidance) ]"),
        ("[gui[guidance] {guidance{}", "[gui(guidance) (guidance()"),
        ("\ufd3ex\ufd3fguidance\ufd3fguidance\ufd3e", "\ufd3ex(guidance)guidance\ufd3e"),
        ("[guidance [guidance>", "[guidance (guidance)"),
    ):
        assert defuse(text) == plain


@given(TRICKY)
@settings(max_examples=500, deadline=None)
def test_disarming_changes_brackets_only_once_and_for_good(text: str) -> None:
    safe = defuse(text)
    assert not has_delimiter(safe)
    assert defuse(safe) == safe
    assert (safe == text) == (not has_delimiter(text))
    changed = [(was, now) for was, now in zip(text, safe, strict=True) if was != now]
    assert all(was in PAIRED and now in "()" for was, now in changed)


@given(TRICKY)
@settings(max_examples=200, deadline=None)
def test_text_without_brackets_is_never_changed(text: str) -> None:
    bare = "".join(char for char in text if char not in PAIRED)
    assert defuse(bare) is bare


KINDS = {"g": "g6", "u": "u\u0438", "i": "i1|", "d": "d", "a": "a", "n": "n\u0438", "c": "c\u20ac", "e": "e\u20ac"}
NOTHING = "[-|\\u20ac\\u200b\\[\\]<>]*"
SPELLED = re.compile("[\\[<]" + NOTHING + NOTHING.join(f"[{kinds}]" for kinds in KINDS.values()) + NOTHING + "[\\]>]")
PIECE = st.sampled_from([*'[]<>-|("16x\u200b\u0438\u20acguidance', "guid", "ance", "gu", "dance", "\u20ac\u20ac", "guidan", "[guidance]"])


@given(st.lists(PIECE, max_size=14).map("".join))
@settings(max_examples=600, deadline=None)
def test_what_is_found_is_what_the_definition_says(text: str) -> None:
    assert has_delimiter(text) == (SPELLED.search(text) is not None)


ROUND = {char for char in map(chr, range(0x20000)) if unicodedata.normalize("NFKD", char) in ("(", ")")}
PAIRED = {char for char in map(chr, range(0x20000)) if unicodedata.category(char) in ("Ps", "Pe")} - ROUND
PAIRED |= {char for char in map(chr, range(0x20000)) if unicodedata.normalize("NFKD", char)[0] in "<>"}
PAIRED |= set("\u231c\u231d\u231e\u231f\u23a1\u23a2\u23a3\u23a4\u23a5\u23a6\u228f\u2290")


def test_every_bracket_that_is_not_round_counts() -> None:
    closing = {char for char in PAIRED if has_delimiter(f"[guidance{char}")}
    opening = {char for char in PAIRED if has_delimiter(f"{char}guidance]")}
    assert closing | opening == PAIRED
    assert closing & opening == {"\ufd3e", "\ufd3f"}, "Unicode has the ornate ones the wrong way round"
    assert opening >= {char for char in PAIRED if unicodedata.category(char) == "Ps"}
    assert closing >= {char for char in PAIRED if unicodedata.category(char) == "Pe"}
    assert not any(has_delimiter(f"{char}guidance]") or has_delimiter(f"[guidance{char}") for char in ROUND)


def test_nothing_unseen_hides_the_word() -> None:
    planes = map(chr, [*range(0x20000), *range(0xE0000, 0xE1000)])
    unseen = {char for char in planes if unicodedata.category(char) in {"Cc", "Cf", "Cn", "Mn", "Me", "Zs", "Zl", "Zp"}}
    unseen |= set("\u115f\u1160\u3164\uffa0\u2800\U0001d159\ue000\ud800")
    assert len(unseen) > 5000
    assert [char for char in unseen if not has_delimiter(f"[{char}gui{char}dance{char}]")] == []


LATIN = re.compile(
    r"LATIN (?:SMALL |CAPITAL )?LETTER (?:SMALL CAPITAL |DOTLESS |SCRIPT |OPEN |INSULAR )?"
    r"([GUIDANCE]|ALPHA|IOTA|UPSILON|ETH)(?: WITH (?!SMALL LETTER).*)?"
)


def test_every_latin_letter_with_strokes_hooks_or_another_cut_is_known() -> None:
    named = [(char, LATIN.fullmatch(unicodedata.name(char, ""))) for char in map(chr, range(0x20000))]
    meant = {"ALPHA": "a", "IOTA": "i", "UPSILON": "u", "ETH": "d"}
    drawn = [(char, meant.get(name[1], name[1].lower())) for char, name in named if name]
    assert len(drawn) > 250
    assert [char for char, letter in drawn if not has_delimiter(f"[{'guidance'.replace(letter, char)}]")] == []


JSON = st.recursive(
    st.lists(st.sampled_from([*SIGNS, *WORDS]), max_size=6).map("".join),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.sampled_from(["guidance", "b"]), values, max_size=2),
    max_leaves=5,
)


@given(JSON, st.booleans())
@settings(max_examples=120, deadline=None)
def test_json_stays_json(value: object, escaped: bool) -> None:
    def plain(text: str) -> str:
        return json.dumps(json.loads(text), ensure_ascii=False).translate(dots)

    dots = str.maketrans(dict.fromkeys(PAIRED | set("()"), "."))
    text = json.dumps(value, ensure_ascii=escaped)
    assert plain(defuse(text)) == plain(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20000,
        "[g" * 10000,
        "[guidance" * 2000,
        "[guidance]" * 2000,
        "[gui[" * 4000 + "dance]",
        "<>" * 10000,
        "[" * 10000 + "]" * 10000,
        "[" + "|" * 20000,
        "[" + "\u200b" * 20000 + "guidance]",
        "[guidance" + " " * 20000,
    ],
)
def test_every_character_is_read_once_however_long_the_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    parts = placement._parts

    def counted(char: str) -> object:
        nonlocal read
        read += 1
        return parts(char)

    monkeypatch.setattr(placement, "_parts", counted)
    has_delimiter(text)
    defuse(text)
    assert read <= 2 * len(text)
