"""The Python agent API: messages in, reply and guidance out. The one code path for teaching, evaluation and production.

Owns how a request is made: guidance looked up, placed, tools native or as text. Knows neither customers nor domain state: tools are run
by whoever holds the state. Invariants: without guidance lines a request is byte for byte what it would be without a library; guidance
depends on the conversation up to the last customer message only, so it is the same in every step of a tool loop; it is never part of
what comes back.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, cast, get_args

from strategist.domains.domain import Domain
from strategist.domains.persona import Persona
from strategist.errors import ModelError, StrategistError
from strategist.languages import language_of
from strategist.models.protocol import Chat
from strategist.placement import COPIED, defuse, last_user, place, without_copy
from strategist.records.chat import Message, ModelRequest, Purpose, Speaker, ToolCall, ToolSpec
from strategist.records.library import Guidance, Status
from strategist.roles import tooltext
from strategist.roles.prompts import load_prompt
from strategist.roles.protocols import ActorReply
from strategist.settings import ModelSettings, RetrievalSettings

if TYPE_CHECKING:
    from strategist.library.library import Library
    from strategist.retrieval.embed import Embedder
    from strategist.retrieval.index import Index
    from strategist.retrieval.retriever import Retriever

ToolStyle = Literal["native", "text"]
AnyMessage = Message | Mapping[str, object]
"""A message record, or a plain dictionary in OpenAI's form."""

OFF = Guidance(reason="off")


class GuidanceSource(Protocol):
    """Whoever knows which lines a turn should get."""

    async def guidance(self, messages: Sequence[Message]) -> Guidance:
        """Lines for the next reply; `messages` end with the customer's message."""
        ...


class Agent:
    """A model that answers customers with guidance; an Actor. `tools` are what it may call, `tool_style` how they are offered."""

    def __init__(
        self,
        chat: Chat,
        *,
        retriever: GuidanceSource | None = None,
        tools: tuple[ToolSpec, ...] = (),
        tool_style: ToolStyle = "native",
        temperature: float = 0.7,
        max_tokens: int = 200,
    ) -> None:
        self.chat = chat
        self.retriever = retriever
        self.tools = tools
        self.tool_style = tool_style
        self.temperature = temperature
        self.max_tokens = max_tokens

    async def reply(
        self,
        messages: Sequence[AnyMessage],
        *,
        purpose: Purpose = "serve",
        sample: int = 0,
        guidance: Guidance | None = None,
        tools: bool = True,
    ) -> ActorReply:
        """Answer the conversation: text, tool calls, or both. `guidance` overrides retrieval; `tools=False` asks for text only.

        Raises StrategistError for messages that are none, ModelError and its like from the model."""
        history = as_messages(messages)
        tools = self._may_use_tools(history, tools)
        request, placed = await self._request(history, guidance, tools=tools)
        reply = await self.chat.ask(request, purpose=purpose, sample=sample)
        own = without_copy if placed.lines else str  # not every server knows stop texts
        text, calls, usage = own(reply.text), reply.tool_calls if tools else (), reply.usage
        if self.tools and self.tool_style == "text":
            names = {tool.name for tool in self.tools}
            text, found = tooltext.parse(text, names)
            calls = found[:1] if tools else ()
            if calls:
                text = ""  # it writes its reply anew when the tool has answered
            elif found or not text.strip():  # a call too many: nothing is done, so what it says of it would be wrong
                said = tooltext.write(found[0]) if found else tooltext.NO_CALL
                messages_now = tooltext.refuse(request.messages, defuse(said) if placed.lines else said)
                reply = await self.chat.ask(request.model_copy(update={"messages": messages_now}), purpose=purpose, sample=sample)
                usage += reply.usage
                text = tooltext.parse(own(reply.text), names)[0].strip() or text
        if reply.finish == "refusal" and not text.strip():
            raise ModelError(f"{self.chat.model_name} refused to answer", kind="refusal")
        if not text.strip() and not calls:
            raise ModelError(f"{self.chat.model_name} answered without a word for the customer", kind="empty_reply")
        message = Message(role="assistant", content=text.strip(), tool_calls=calls)
        return ActorReply(message=message, guidance=placed, usage=usage, cut=reply.finish == "length")

    def reply_sync(
        self, messages: Sequence[AnyMessage], *, purpose: Purpose = "serve", sample: int = 0, guidance: Guidance | None = None
    ) -> ActorReply:
        """`reply` for code without async, notebooks included: runs on one background event loop that all such calls share."""
        work = self.reply(messages, purpose=purpose, sample=sample, guidance=guidance)
        future = asyncio.run_coroutine_threadsafe(work, _background_loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def request_for(
        self, messages: Sequence[AnyMessage], guidance: Guidance | None = None, *, tools: bool = True
    ) -> tuple[ModelRequest, Guidance]:
        """The request that `reply` would send, and the guidance in it."""
        history = as_messages(messages)
        return await self._request(history, guidance, tools=self._may_use_tools(history, tools))

    async def _request(self, history: tuple[Message, ...], guidance: Guidance | None, *, tools: bool) -> tuple[ModelRequest, Guidance]:
        placed = guidance if guidance is not None else await self._look_up(history)
        as_text = self.tool_style == "text" and (bool(self.tools) or any(message.role == "tool" for message in history))
        sent = place(tooltext.render(history) if as_text else history, placed.lines)
        request = ModelRequest(
            messages=sent,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            stop=(*(tooltext.STOPS if as_text else ()), *(COPIED if placed.lines else ())),
            tools=self.tools if tools and not as_text else (),
        )
        return request, placed

    def _may_use_tools(self, history: Sequence[Message], wanted: bool) -> bool:
        """In text style one tool a turn: a small model calls as long as it may, and its customer waits."""
        if not (wanted and self.tools):
            return False
        since = cast(int, last_user(history))
        return self.tool_style == "native" or not any(message.role == "tool" for message in history[since:])

    async def _look_up(self, history: tuple[Message, ...]) -> Guidance:
        if self.retriever is None:
            return OFF
        last = cast(int, last_user(history))
        return await self.retriever.guidance(history[: last + 1])


def agent_for(chat: Chat, domain: Domain, settings: ModelSettings, source: GuidanceSource | None) -> Agent:
    """The agent that a model of these settings is in a domain: with its tools, and guidance from `source`."""
    return Agent(
        chat,
        retriever=source,
        tools=tuple(tool.spec for tool in domain.tools),
        tool_style=settings.tool_style,
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
    )


class _Built(NamedTuple):
    version: int
    retriever: Retriever


class LiveLibrary:
    """The library as it is now: a GuidanceSource that looks at the library's version on every query and builds its ranking anew when
    entries, statuses or the floor have changed. For one event loop; the loop of teaching works on snapshots instead.

    `index` opens the index that is searched (default: exact search); it is not asked for before there is an entry."""

    def __init__(
        self,
        library: Library,
        embedder: Embedder,
        settings: RetrievalSettings,
        statuses: tuple[Status, ...],
        *,
        language: str = "en",
        index: Callable[[], Index] | None = None,
    ) -> None:
        self._library = library
        self._language = language
        self._index = index
        self._embedder = embedder
        self._settings = settings
        self._statuses = statuses
        self._built: _Built | None = None
        self._building = asyncio.Lock()

    async def guidance(self, messages: Sequence[Message]) -> Guidance:
        """Lines from the entries with one of the statuses, as of this query."""
        return await (await self.retriever()).guidance(messages)

    async def retriever(self) -> Retriever:
        """The ranking over the library's present version."""
        from strategist.retrieval.retriever import Retriever

        async with self._building:
            version = self._library.version()
            if self._built is None or self._built.version != version:
                before = None if self._built is None else self._built.retriever
                snapshot = self._library.snapshot(
                    self._statuses, self._embedder.id, self._library.get_floor(), before=None if before is None else before.snapshot
                )
                index = self._index() if self._index is not None and snapshot.entries else None
                retriever = await Retriever.build(snapshot, self._embedder, self._settings, index, language=self._language, before=before)
                self._built = _Built(version, retriever)
            return self._built.retriever


def system_message(domain: Domain, persona: Persona, tool_style: ToolStyle = "native") -> Message:
    """The agent's system message: company, brief, form of a reply, tools (in text style), and last the desk screen of this customer.

    Everything before the screen is one cacheable prefix for all conversations of a domain."""
    return desk_message(domain, persona.screen, tool_style)


def desk_message(domain: Domain, screen: str = "", tool_style: ToolStyle = "native") -> Message:
    """The same for a conversation without a persona: `screen` is what the agent's desk shows of the customer.

    The screen may quote the customer, so what reads there like a guidance delimiter is disarmed, with or without a library."""
    tools = tooltext.describe([tool.spec for tool in domain.tools]) if tool_style == "text" else ""
    before_screen = (language_of(domain.language).tells_agent, tools)  # the first is empty where the prompt's own language is asked for
    text = load_prompt("agent").render(
        title=domain.title,
        brief=domain.brief.strip(),
        words=str(domain.reply_words),
        tools="".join(f"{part}\n\n" for part in before_screen if part),
        screen=defuse(screen.strip()) or "(nothing)",
    )
    return Message(role="system", content=text)


def as_messages(messages: Sequence[AnyMessage]) -> tuple[Message, ...]:
    """Message records from records or plain dictionaries in OpenAI's form. Raises StrategistError naming the message and the fault."""
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence):
        raise StrategistError(
            "messages must be a list of messages", hint='for example [{"role": "user", "content": "Where is my parcel?"}]'
        )
    out = tuple(_as_message(f"messages[{index}]", message) for index, message in enumerate(messages))
    if last_user(out) is None:
        raise StrategistError("messages hold no customer message", hint='one of them needs "role": "user"')
    return out


def _as_message(where: str, message: object) -> Message:
    if isinstance(message, Message):
        return message
    if not isinstance(message, Mapping):
        raise StrategistError(f"{where} is neither a Message nor a dictionary but {type(message).__name__}")
    role = "system" if message.get("role") == "developer" else message.get("role")
    if role not in get_args(Speaker):
        raise StrategistError(f"{where}: role is {role!r}", hint="it must be system, user, assistant or tool")
    call_id = message.get("tool_call_id")
    return Message(
        role=cast(Speaker, role),
        content=_text(where, message.get("content")),
        tool_calls=_tool_calls(where, message.get("tool_calls")),
        tool_call_id=call_id if isinstance(call_id, str) else None,
    )


def _text(where: str, content: object) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) else ()
    texts = [part.get("text") for part in parts if isinstance(part, Mapping) and part.get("type") == "text"]
    if not parts or len(texts) != len(parts) or not all(isinstance(text, str) for text in texts):
        raise StrategistError(f"{where}: content must be text or a list of text parts", hint="images and audio are not supported")
    return "\n".join(cast(list[str], texts))


def _tool_calls(where: str, calls: object) -> tuple[ToolCall, ...]:
    out = []
    for index, call in enumerate(calls if isinstance(calls, Sequence) else ()):
        function = call.get("function") if isinstance(call, Mapping) else None
        fields = (call.get("id"), function.get("name"), function.get("arguments")) if isinstance(function, Mapping) else ()
        if len(fields) != 3 or not all(isinstance(field, str) for field in fields):
            raise StrategistError(
                f"{where}: tool_calls[{index}] is not a function call",
                hint='it needs the form {"id": "...", "type": "function", "function": {"name": "...", "arguments": "{...}"}}',
            )
        out.append(ToolCall(id=cast(str, fields[0]), name=cast(str, fields[1]), arguments=cast(str, fields[2])))
    return tuple(out)


@cache
def _background_loop() -> asyncio.AbstractEventLoop:
    """One event loop in a daemon thread: connections to model servers live on between synchronous calls."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="strategist-sync", daemon=True)
    thread.start()
    atexit.register(_stop, loop, thread)
    return loop


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join(timeout=2.0)
    if not thread.is_alive():
        loop.close()
