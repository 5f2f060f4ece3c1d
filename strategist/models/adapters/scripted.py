"""A model that is a function: for tests, and for simulated worlds. Reply = f(request, draw), nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from strategist.models.streams import ReplyStream
from strategist.records.chat import ModelRequest, Reply, Usage

AnswerFunction = Callable[[ModelRequest, int], Reply | str]


class ScriptedModel:
    """Answers with `answer(request, draw)` after `latency_s` seconds. An error that it raises is raised as is: fault injection.

    A plain text gets a usage of a quarter of the bytes, the common rule of thumb; nothing real is counted.
    """

    def __init__(self, name: str, answer: AnswerFunction, latency_s: float = 0.0) -> None:
        self._name, self._answer, self._latency_s = name, answer, latency_s

    @property
    def name(self) -> str:
        """The name it was made with."""
        return self._name

    async def reply(self, request: ModelRequest, draw: int) -> Reply:
        """Answer once."""
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        answer = self._answer(request, draw)
        return answer if isinstance(answer, Reply) else Reply(text=answer, usage=_usage(request, answer))

    def stream(self, request: ModelRequest, draw: int) -> ReplyStream:
        """The same answer, word by word."""
        return ReplyStream(self._pieces(request, draw))

    async def close(self) -> None:
        """Nothing to free."""

    async def _pieces(self, request: ModelRequest, draw: int) -> AsyncGenerator[str | Reply]:
        reply = await self.reply(request, draw)
        words = reply.text.split(" ")
        for i, word in enumerate(words):
            yield word if i == len(words) - 1 else word + " "
        yield reply


def _usage(request: ModelRequest, text: str) -> Usage:
    asked = sum(len(message.content) for message in request.messages)
    return Usage(prompt_tokens=asked // 4 + 1, completion_tokens=len(text) // 4 + 1)
