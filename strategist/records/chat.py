"""What goes to a language model and what comes back: messages, tools, requests, replies.

The shapes follow OpenAI's chat format, so that `wire()` is a plain dump. A request holds everything that changes the reply except the
draw (seed and sample number); its hash is half of the call log's key.
"""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from strategist.records.base import JsonObject, Record

Speaker = Literal["system", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "tool_calls", "refusal"]
RoleName = Literal["student", "teacher", "advisor", "customer", "judge"]
Purpose = Literal["generate", "coach", "admit", "examine", "serve", "try", "probe", "import"]


class ToolCall(Record):
    """One call of a tool by the model; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


class ToolSpec(Record):
    """A tool as the model sees it; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: JsonObject

    def wire(self) -> JsonObject:
        """The OpenAI form of this tool."""
        function: JsonObject = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}


class Message(Record):
    """One message of a conversation. `role="user"` is the customer, `role="assistant"` the agent, always."""

    role: Speaker
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    def wire(self) -> JsonObject:
        """The OpenAI form of this message; empty fields are left out."""
        out: JsonObject = {"role": self.role, "content": self.content}
        if self.tool_calls:
            out["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in self.tool_calls
            ]
        if self.tool_call_id is not None:
            out["tool_call_id"] = self.tool_call_id
        return out


class ModelRequest(Record):
    """Everything that decides a reply apart from the draw. `json_schema` asks for a JSON reply of that schema."""

    messages: tuple[Message, ...]
    temperature: float = 0.7
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    json_schema: dict[str, JsonValue] | None = None


class Usage(Record):
    """Tokens and money of one or many calls; money in US dollars at the settings' prices."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0

    @property
    def reported(self) -> bool:
        """Whether a server said what it used: no answer takes no tokens at all."""
        return self.prompt_tokens + self.completion_tokens > 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
        )


class Reply(Record):
    """What a model answered."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    usage: Usage = Usage()
