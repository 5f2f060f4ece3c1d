"""A streamed reply: pieces as they come, then the whole with its usage."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from strategist.records.chat import Reply


@asynccontextmanager
async def closing(pieces: AsyncIterator[object]) -> AsyncIterator[None]:
    """Close a stream at the end of the block, however it ends: a server must not go on with a reply that nobody waits for."""
    try:
        yield
    finally:
        if isinstance(pieces, ReplyStream | AsyncGenerator):
            await pieces.aclose()


class ReplyStream:
    """An async iterator over text pieces. Made from a generator that yields pieces and, last, the whole Reply, which is then in `reply`."""

    def __init__(self, source: AsyncGenerator[str | Reply]) -> None:
        self._source = source
        self.reply: Reply | None = None

    def __aiter__(self) -> ReplyStream:
        return self

    async def __anext__(self) -> str:
        item = await anext(self._source)
        if isinstance(item, Reply):
            self.reply = item
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        """Stop early: the connection behind it is closed."""
        await self._source.aclose()
