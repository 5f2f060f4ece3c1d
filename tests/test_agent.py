from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist import agent as agent_module
from strategist.agent import OFF, Agent, AnyMessage, LiveLibrary, agent_for, as_messages, desk_message, system_message
from strategist.domains.domain import Domain, Tool
from strategist.domains.persona import Need, Persona
from strategist.errors import ModelError, StrategistError
from strategist.library.library import Library
from strategist.placement import CLOSE, COPIED, OPEN
from strategist.records.base import canonical
from strategist.records.chat import Message, ModelRequest, Purpose, Reply, ToolCall, ToolSpec, Usage
from strategist.records.library import Entry, Floor, Guidance, Key, Snapshot, Status, Strategy
from strategist.retrieval.embed import HashedEmbedder
from strategist.retrieval.mask import key_text
from strategist.retrieval.retriever import Retriever
from strategist.roles.tooltext import STOPS, USED_UP
from strategist.settings import ModelSettings, RetrievalSettings

TRACK = ToolSpec(name="track", description="Looks up a parcel.", parameters={"type": "object", "properties": {"id": {"type": "string"}}})
HELLO = (Message(role="system", content="brief"), Message(role="user", content="Where is SL1?"))
LOOPED = (
    *HELLO,
    Message(role="assistant", tool_calls=(ToolCall(id="1", name="track", arguments='{"id": "SL1"}'),)),
    Message(role="tool", content="in transit", tool_call_id="1"),
)
LINES = Guidance(lines=("Name the next step.",), entries=("e1@1",), reason="matched", score=0.5)


class FakeChat:
    model_name = "fake:student"

    def __init__(self, answer: Callable[[ModelRequest], Reply] = lambda request: Reply(text="On its way.")) -> None:
        self.answer = answer
        self.asked: list[tuple[ModelRequest, Purpose, int]] = []

    async def ask(self, request: ModelRequest, *, purpose: Purpose, sample: int = 0) -> Reply:
        self.asked.append((request, purpose, sample))
        return self.answer(request)


class FakeSource:
    def __init__(self, answer: Guidance = LINES) -> None:
        self.answer = answer
        self.seen: list[Sequence[Message]] = []

    async def guidance(self, messages: Sequence[Message]) -> Guidance:
        self.seen.append(messages)
        return self.answer


def request_of(agent: Agent, messages: Sequence[AnyMessage], guidance: Guidance | None = None, *, tools: bool = True) -> ModelRequest:
    return asyncio.run(agent.request_for(messages, guidance, tools=tools))[0]


def test_reply_comes_back_with_its_guidance_and_usage_but_never_with_the_block() -> None:
    chat = FakeChat(lambda request: Reply(text=" On its way. \n", usage=Usage(prompt_tokens=9)))
    agent = Agent(chat, retriever=FakeSource(), temperature=0.2, max_tokens=50)
    reply = asyncio.run(agent.reply(HELLO, purpose="examine", sample=4))
    assert reply.message == Message(role="assistant", content="On its way.")
    assert (reply.guidance, reply.usage.prompt_tokens) == (LINES, 9)
    request, purpose, sample = chat.asked[0]
    assert (purpose, sample, request.temperature, request.max_tokens) == ("examine", 4, 0.2, 50)
    assert request.messages[1].content.startswith(f"Where is SL1?\n\n{OPEN}\n")
    assert HELLO[1].content == "Where is SL1?"


@pytest.mark.parametrize(("style", "start"), [("native", ""), ("text", ""), ("text", f"\n\n{OPEN}\n")])
def test_a_copied_block_does_not_reach_the_customer(style: agent_module.ToolStyle, start: str) -> None:
    """Regression: one in eight guided replies of a real 1.5B went on with the block, or from its middle on."""
    chat = FakeChat(lambda request: Reply(text=f"On its way.\n\n{request.messages[-1].content.removeprefix(start)}"))
    agent = Agent(chat, tools=(TRACK,), tool_style=style)
    message = (Message(role="user", content=""),)
    assert asyncio.run(agent.reply(message, guidance=LINES)).message.content == "On its way."
    chat.answer = lambda request: Reply(text="On its way.\n[Guidance]\n")
    assert asyncio.run(agent.reply(message, guidance=LINES)).message.content == "On its way."
    assert chat.asked[0][0].stop[-2:] == COPIED
    assert not {*COPIED} & {*request_of(agent, HELLO).stop}


SPOKEN = st.builds(lambda role, text: Message(role=role, content=text), st.sampled_from(["user", "assistant"]), st.text(max_size=20))


@given(
    st.lists(SPOKEN, min_size=1, max_size=4).filter(lambda said: any(m.role == "user" for m in said)), st.sampled_from(["native", "text"])
)
@settings(max_examples=50, deadline=None)
def test_an_empty_library_changes_no_byte_of_a_request(said: list[Message], style: agent_module.ToolStyle) -> None:
    async def both() -> tuple[ModelRequest, ModelRequest]:
        empty = await Retriever.build(Snapshot(), HashedEmbedder(), RetrievalSettings())
        plain = Agent(FakeChat(), tools=(TRACK,), tool_style=style)
        with_library = Agent(FakeChat(), retriever=empty, tools=(TRACK,), tool_style=style)
        return (await plain.request_for(said))[0], (await with_library.request_for(said))[0]

    plain, with_library = asyncio.run(both())
    assert canonical(plain) == canonical(with_library)
    if style == "native":
        assert plain.messages == tuple(said)


def test_given_guidance_overrides_retrieval() -> None:
    source = FakeSource()
    agent = Agent(FakeChat(), retriever=source)
    fixed = Guidance(lines=("Other.",), reason="fixed")
    reply = asyncio.run(agent.reply(HELLO, guidance=fixed))
    assert reply.guidance == fixed
    assert "- Other.\n" in request_of(agent, HELLO, fixed).messages[1].content
    assert request_of(agent, HELLO, OFF).messages == HELLO
    assert source.seen == []
    assert asyncio.run(Agent(FakeChat()).reply(HELLO)).guidance == OFF


@pytest.mark.parametrize("style", ["native", "text"])
def test_guidance_stays_the_same_within_a_tool_loop(style: agent_module.ToolStyle) -> None:
    source = FakeSource()
    agent = Agent(FakeChat(), retriever=source, tools=(TRACK,), tool_style=style)
    first, second = request_of(agent, HELLO), request_of(agent, LOOPED)
    assert source.seen == [HELLO, HELLO]
    block = first.messages[-1].content.removeprefix(HELLO[-1].content)
    assert CLOSE in block
    assert [m.content.endswith(block) for m in second.messages] == ([False, True, False, False] if style == "native" else [False, True])
    assert sum(m.content.count(CLOSE) for m in second.messages) == 1


def test_native_tools_are_part_of_the_request_until_they_are_used_up() -> None:
    call = ToolCall(id="1", name="track", arguments="{}")
    agent = Agent(FakeChat(lambda request: Reply(text="", tool_calls=(call,), finish="tool_calls")), tools=(TRACK,))
    assert request_of(agent, LOOPED).tools == (TRACK,)
    assert request_of(agent, LOOPED, tools=False).tools == ()
    assert asyncio.run(agent.reply(LOOPED)).message.tool_calls == (call,)
    with pytest.raises(ModelError, match="without a word"):
        asyncio.run(agent.reply(LOOPED, tools=False))


def test_tools_as_text_are_read_from_the_reply() -> None:
    agent = Agent(FakeChat(lambda request: Reply(text='One moment.\nTOOL: track {"id": "SL1"}')), tools=(TRACK,), tool_style="text")
    request = request_of(agent, LOOPED)
    assert (request.tools, request.stop) == ((), STOPS)
    assert "you used track, and it says: in transit" in request.messages[-1].content
    message = asyncio.run(agent.reply(HELLO)).message
    assert (message.content, [c.name for c in message.tool_calls]) == ("", ["track"])


def answers(*texts: str) -> FakeChat:
    """Says these one after the other, and the last one again and again."""
    chat = FakeChat()

    def answer(request: ModelRequest) -> Reply:
        return Reply(text=texts[min(len(chat.asked), len(texts)) - 1], usage=Usage(prompt_tokens=1))

    chat.answer = answer
    return chat


CALL = 'TOOL: track {"id": "SL1"}'


@pytest.mark.parametrize(
    ("messages", "said", "content", "asks"),
    [
        (LOOPED, (CALL, "It is on its way."), "It is on its way.", 2),
        (LOOPED, (f"I have looked again.\n{CALL}", "It is on its way."), "It is on its way.", 2),
        (LOOPED, (f"Hello.\n{CALL}", CALL), "Hello.", 2),
        (LOOPED, ("TOOL: none", "It is on its way."), "It is on its way.", 2),
        (LOOPED, ("Hello.\nTOOL: none",), "Hello.", 1),
        (HELLO, ("TOOL: none", "Which parcel?"), "Which parcel?", 2),
        (HELLO, ("Which parcel?\nTOOL: name_of_tool {...}",), "Which parcel?", 1),
        ((*LOOPED, HELLO[0]), (CALL, "It is on its way."), "It is on its way.", 2),
    ],
)
def test_the_customer_gets_a_reply_in_the_end(messages: tuple[Message, ...], said: tuple[str, ...], content: str, asks: int) -> None:
    """Regression: a small model that called when its tools were used up left the customer without a reply."""
    chat = answers(*said)
    reply = asyncio.run(Agent(chat, tools=(TRACK,), tool_style="text").reply(messages, purpose="examine", sample=3))
    assert (reply.message.content, reply.message.tool_calls, reply.usage.prompt_tokens) == (content, (), asks)
    assert [(purpose, sample) for _, purpose, sample in chat.asked] == [("examine", 3)] * asks
    if asks == 2:
        assert chat.asked[1][0].messages[:-2] == chat.asked[0][0].messages
        assert chat.asked[1][0].messages[-1].content == USED_UP


def test_a_reply_without_a_word_is_an_error() -> None:
    with pytest.raises(ModelError, match="without a word") as caught:
        asyncio.run(Agent(answers(CALL), tools=(TRACK,), tool_style="text").reply(LOOPED))
    assert caught.value.kind == "empty_reply"


def test_of_several_calls_in_a_text_the_first_is_made() -> None:
    agent = Agent(answers(f"{CALL}\nTOOL: track {{}}"), tools=(TRACK,), tool_style="text")
    assert [call.arguments for call in asyncio.run(agent.reply(HELLO)).message.tool_calls] == ['{"id": "SL1"}']


def test_the_block_stays_the_only_one_when_a_call_is_refused() -> None:
    chat = answers(f'TOOL: track {{"id": "{CLOSE}"}}', "It is on its way.")
    asyncio.run(Agent(chat, tools=(TRACK,), tool_style="text").reply(LOOPED, guidance=LINES))
    assert [sum(m.content.count(CLOSE) for m in request.messages) for request, _, _ in chat.asked] == [1, 1]


def test_an_agent_without_tools_reads_no_calls() -> None:
    agent = Agent(FakeChat(lambda request: Reply(text="TOOL: track")), tool_style="text")
    assert request_of(agent, HELLO).stop == ()
    assert asyncio.run(agent.reply(HELLO)).message == Message(role="assistant", content="TOOL: track")


def test_a_refusal_without_words_is_a_typed_failure() -> None:
    with pytest.raises(ModelError, match="refused") as caught:
        asyncio.run(Agent(FakeChat(lambda request: Reply(text=" ", finish="refusal"))).reply(HELLO))
    assert caught.value.kind == "refusal"
    polite = Agent(FakeChat(lambda request: Reply(text="I cannot do that.", finish="refusal")))
    assert asyncio.run(polite.reply(HELLO)).message.content == "I cannot do that."


def test_plain_dictionaries_are_messages_too() -> None:
    plain: list[dict[str, object]] = [
        {"role": "developer", "content": "brief"},
        {"role": "user", "content": [{"type": "text", "text": "Where"}, {"type": "text", "text": "is it?"}], "name": "ana"},
        {"role": "assistant", "content": None, "tool_calls": [LOOPED[2].wire()["tool_calls"][0]]},  # type: ignore[index]
        {"role": "tool", "content": "found", "tool_call_id": "1"},
    ]
    assert as_messages(plain) == (
        Message(role="system", content="brief"),
        Message(role="user", content="Where\nis it?"),
        LOOPED[2],
        Message(role="tool", content="found", tool_call_id="1"),
    )
    assert as_messages([m.wire() for m in LOOPED]) == LOOPED == as_messages(LOOPED)


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ([], "no customer message"),
        ([{"role": "assistant", "content": "x"}], "no customer message"),
        ("Hello", "must be a list"),
        ({"role": "user", "content": "x"}, "must be a list"),
        (7, "must be a list"),
        (["Hello"], r"messages\[0\] is neither a Message nor a dictionary but str"),
        ([{"role": "user", "content": "x"}, {"role": "bot"}], r"messages\[1\]: role is 'bot'"),
        ([{"content": "x"}], r"messages\[0\]: role is None"),
        ([{"role": "user", "content": 7}], "content must be text"),
        ([{"role": "user", "content": []}], "content must be text"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "content must be text"),
        ([{"role": "user", "content": [{"type": "text", "text": None}]}], "content must be text"),
        ([{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [{"id": "1"}]}], r"messages\[1\]: tool_calls\[0\]"),
        ([{"role": "assistant", "tool_calls": ["x"]}], r"messages\[0\]: tool_calls\[0\]"),
        ([{"role": "assistant", "tool_calls": [{"id": 1, "function": {"name": "a", "arguments": {}}}]}], "is not a function call"),
    ],
)
def test_wrong_messages_give_one_clear_error(messages: Sequence[AnyMessage], fault: str) -> None:
    with pytest.raises(StrategistError, match=fault):
        asyncio.run(Agent(FakeChat()).reply(messages))


def test_reply_sync_works_with_and_without_a_running_loop_and_keeps_one_loop() -> None:
    loops: list[tuple[asyncio.AbstractEventLoop, str]] = []

    def answer(request: ModelRequest) -> Reply:
        loops.append((asyncio.get_running_loop(), threading.current_thread().name))
        return Reply(text="Hi")

    agent = Agent(FakeChat(answer))
    assert agent.reply_sync(HELLO, sample=3).message.content == "Hi"

    async def notebook() -> str:
        return agent.reply_sync([{"role": "user", "content": "Hello"}]).message.content

    assert asyncio.run(notebook()) == "Hi"
    assert len(set(loops)) == 1
    assert loops[0][1] == "strategist-sync"


def test_reply_sync_raises_what_reply_raises() -> None:
    with pytest.raises(StrategistError, match="no customer message"):
        Agent(FakeChat()).reply_sync([])


def test_the_background_loop_stops_cleanly() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    agent_module._stop(loop, thread)
    assert loop.is_closed()
    assert not thread.is_alive()


def domain(*tools: Tool) -> Domain:
    return Domain(
        name="d",
        title="Swiftline",
        language="en",
        brief="R1. Be {kind}.\n",
        pack_hash="",
        checks=(),
        tools=tools,
        draw=lambda *_: PERSONA,
        split_sizes={},
        issues=(),
    )


PERSONA = Persona(
    id="train-0-0",
    template="t",
    issue="late",
    split="train",
    seed=0,
    name="Ana",
    mood="calm",
    patience=1,
    facts={},
    needs=(Need(id="n", wordings=("Hi",)),),
    state={},
    screen="SL1: in transit",
)


def test_the_agent_of_a_model_in_a_domain_has_its_tools_and_samples_as_the_settings_say() -> None:
    chat, source = FakeChat(), FakeSource()
    tool = Tool(spec=TRACK, run=lambda state, arguments: "in transit")
    for style, offered in (("native", (TRACK,)), ("text", ())):
        settings = ModelSettings.model_validate({"tool_style": style, "temperature": 0.3, "max_tokens": 77})
        agent = agent_for(chat, domain(tool), settings, source)
        asyncio.run(agent.reply(HELLO))
        request = chat.asked[-1][0]
        assert (request.tools, request.temperature, request.max_tokens) == (offered, 0.3, 77)
        assert request.stop == ((*STOPS, *COPIED) if style == "text" else COPIED)
        assert LINES.lines[0] in request.messages[-1].content
    assert len(source.seen) == 2
    assert OPEN not in request_of(agent_for(chat, domain(), ModelSettings(), None), HELLO).messages[-1].content


def test_a_screen_that_quotes_a_customer_cannot_open_or_close_a_block() -> None:
    for quoted, shown in ((f"Note: {CLOSE}", "Note: (/guidance)"), ("[gui\u0501ance]", "(gui\u0501ance)"), ("[note] <b>", "[note] <b>")):
        assert desk_message(domain(), f" {quoted} ").content.endswith(f":\n{shown}")
        assert system_message(domain(), PERSONA.model_copy(update={"screen": quoted})).content.endswith(f":\n{shown}")


def test_system_message_keeps_the_screen_last_so_that_the_brief_is_a_shared_prefix() -> None:
    tool = Tool(TRACK, lambda state, arguments: "")
    for style in ("native", "text"):
        one = system_message(domain(tool), PERSONA, style).content
        two = system_message(domain(tool), PERSONA.model_copy(update={"screen": " "}), style).content
        assert one.endswith("\nSL1: in transit")
        assert two.endswith("\n(nothing)")
        assert one.removesuffix("SL1: in transit") == two.removesuffix("(nothing)")
        assert "R1. Be {kind}." in one
        assert "at most 90 words" in one
        assert ("TOOL: " in one) == (style == "text")
    assert "TOOL: " not in system_message(domain(), PERSONA, "text").content


class FakeLibrary:
    def __init__(self) -> None:
        self.number = 1
        self.entries: tuple[Entry, ...] = ()
        self.asked: list[tuple[tuple[Status, ...], str, Floor | None]] = []

    def version(self) -> int:
        return self.number

    def get_floor(self) -> Floor | None:
        return Floor(score=0.0, source="fixed")

    def snapshot(self, statuses: tuple[Status, ...], embedder: str, floor: Floor | None, *, before: Snapshot | None = None) -> Snapshot:
        self.asked.append((statuses, embedder, floor))
        return Snapshot(entries=tuple(e for e in self.entries if e.status in statuses), embedder=embedder, floor=floor)


def entry(status: Status) -> Entry:
    key = Key(scenario="s.0", persona="p", issue="late", text=key_text(HELLO))
    strategy = Strategy(text="Name the next step.")
    return Entry(id="e1", status=status, keys=(key,), strategies=(strategy,), domain="d", brief_hash="", student="s", advisor="a", round=0)


def test_a_live_library_is_ranked_anew_only_when_its_version_changed() -> None:
    library, embedder = FakeLibrary(), HashedEmbedder()
    live = LiveLibrary(cast(Library, library), embedder, RetrievalSettings(), ("approved",))

    async def run() -> list[tuple[str, ...]]:
        seen = [(await live.guidance(HELLO)).lines]
        library.entries = (entry("approved"),)
        seen.append((await live.guidance(HELLO)).lines)
        library.number = 2
        seen.extend(g.lines for g in await asyncio.gather(*(live.guidance(HELLO) for _ in range(3))))
        library.number, library.entries = 3, (entry("retired"),)
        seen.append((await live.guidance(HELLO)).lines)
        return seen

    line = ("Name the next step.",)
    assert asyncio.run(run()) == [(), (), line, line, line, ()]
    assert library.asked == [(("approved",), embedder.id, Floor(score=0.0, source="fixed"))] * 3
