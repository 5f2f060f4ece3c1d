"""The adapter for every OpenAI-compatible server: vLLM, llama.cpp, Ollama, a gateway, OpenAI itself.

Owns connections and the time-out of a whole call. Records nothing and retries nothing: that is models.client. Bodies are read by `wire`
rather than trusted, since servers and proxies answer 200 with anything; what a failure means is decided in `faults`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from strategist.errors import TransientModelError
from strategist.models.adapters.faults import classified
from strategist.models.adapters.wire import Gathered, read_completion, request_body
from strategist.models.streams import ReplyStream
from strategist.records.base import JsonObject
from strategist.records.chat import ModelRequest, Reply

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONNECT_TIMEOUT_S = 10.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class OpenAIModel:
    """One model of one server. `timeout_s` bounds a whole call; `key_hint` names where the key comes from, for error messages."""

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str = "",
        timeout_s: float = 120.0,
        *,
        name: str | None = None,
        key_hint: str = "the API key",
    ) -> None:
        self.base_url, self.model = base_url, model
        self._api_key, self._timeout_s, self._name, self._key_hint = api_key, timeout_s, name or f"openai:{model}", key_hint
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = WeakKeyDictionary()

    @property
    def name(self) -> str:
        """`openai:<model>`, or the name it was given."""
        return self._name

    async def reply(self, request: ModelRequest, draw: int) -> Reply:
        """Answer once. Raises TransientModelError, ModelError or ServerUnavailableError."""
        completions = self._client().chat.completions.with_raw_response
        with self._classified():
            async with asyncio.timeout(self._timeout_s):
                response = await completions.create(model=self.model, messages=[], extra_body=self._body(request, draw))
            return read_completion(response.text)

    def stream(self, request: ModelRequest, draw: int) -> ReplyStream:
        """Yield the reply's text in pieces as they come; the whole with its usage is in `reply` at the end."""
        return ReplyStream(self._pieces(request, draw))

    async def close(self) -> None:
        """Close the connections that the running event loop has opened; safe to call twice."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    async def _pieces(self, request: ModelRequest, draw: int) -> AsyncGenerator[str | Reply]:
        completions, whole = self._client().chat.completions, Gathered()
        body = self._body(request, draw) | {"stream_options": {"include_usage": True}}
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        with self._classified():
            async with asyncio.timeout_at(deadline):
                chunks = await completions.create(model=self.model, messages=[], stream=True, extra_body=body)
        async with chunks:
            pieces = aiter(chunks)
            while True:
                with self._classified():
                    async with asyncio.timeout_at(deadline):
                        chunk = await anext(pieces, None)
                    text = "" if chunk is None else whole.chunk(chunk)
                if chunk is None:
                    break
                if text:
                    yield text
        if whole.finish is None:
            raise TransientModelError(f"the model server {self.base_url} ended its stream before its reply", lost=True)
        yield whole.reply()

    def _body(self, request: ModelRequest, draw: int) -> JsonObject:
        openai_itself = urlsplit(self.base_url).hostname == "api.openai.com"  # its newer models refuse the old name
        return request_body(request, draw, length_field="max_completion_tokens" if openai_itself else "max_tokens")

    def _client(self) -> AsyncOpenAI:
        """The client of the running event loop: connections cannot move from one loop to another."""
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            timeout = Timeout(self._timeout_s, connect=min(CONNECT_TIMEOUT_S, self._timeout_s))
            direct = urlsplit(self.base_url).hostname in _LOOPBACK  # never through a proxy of the environment
            client = self._clients[loop] = AsyncOpenAI(
                base_url=self.base_url,
                api_key=self._api_key or "none",
                max_retries=0,
                timeout=timeout,
                http_client=DefaultAsyncHttpxClient(timeout=timeout, trust_env=not direct),
            )
        return client

    @contextmanager
    def _classified(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            fault = classified(error, server=self.base_url, model=self.model, key_hint=self._key_hint)
            if fault is None or fault is error:
                raise
            raise fault from error
