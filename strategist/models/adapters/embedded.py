"""A GGUF file served inside this process, on the CPU, by llama.cpp's own OpenAI-compatible server (package xllamacpp).

Owns the server's life: it starts with the first call, on a free loopback port, and ends with `close()`. Everything else is OpenAIModel's.
Knows no role. The file and the package are looked for when the model is opened, so that a run never starts without them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from strategist.errors import SettingsError
from strategist.models.adapters.openai import OpenAIModel
from strategist.models.streams import ReplyStream, closing
from strategist.records.chat import ModelRequest, Reply

# By default OpenMP threads spin while they wait and starve every other process of the machine. Measured with the 1.5B on 2 cores, for 50
# tokens: spinning 2.4 s, this 3.0 s, no spinning at all 3.6 s; prefill is the same.
_QUIET_THREADS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "20000"}
_OWN_CONVERSATION = 0.9
"""Share of a prompt that a slot must hold to be the one for it. All conversations begin with the same brief: with llama.cpp's default, 0.1,
any slot would do, and a conversation's own turns would seldom be found. Below the share, llama.cpp looks into its cache in memory."""


class EmbeddedModel:
    """One GGUF file. `slots` calls run at once and each has `context_tokens` of context; `threads` are CPU threads."""

    def __init__(self, path: Path, *, slots: int = 4, context_tokens: int = 4096, threads: int = 2, timeout_s: float = 600.0) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise SettingsError("the adapter `embedded` needs the package xllamacpp", hint="pip install 'strategist-llm[embedded]'")
        if not path.is_file():
            raise SettingsError(f"no model file at {path}", hint="set `path` of this model to a GGUF file")
        self._path, self._slots, self._context, self._threads, self._timeout_s = path, slots, context_tokens, threads, timeout_s
        self._server: object | None = None
        self._remote: OpenAIModel | None = None
        self._starting = asyncio.Lock()

    @property
    def name(self) -> str:
        """`embedded:<file name>`."""
        return f"embedded:{self._path.name}"

    async def reply(self, request: ModelRequest, draw: int) -> Reply:
        """Answer once; the first call loads the file."""
        return await (await self._started()).reply(request, draw)

    def stream(self, request: ModelRequest, draw: int) -> ReplyStream:
        """Yield the reply's text in pieces as they come."""
        return ReplyStream(self._pieces(request, draw))

    async def close(self) -> None:
        """Stop the server and free the memory; safe to call twice."""
        remote, self._remote = self._remote, None
        if remote is not None:
            await remote.close()
        self._server = None

    async def _pieces(self, request: ModelRequest, draw: int) -> AsyncGenerator[str | Reply]:
        stream = (await self._started()).stream(request, draw)
        async with closing(stream):
            async for piece in stream:
                yield piece
        if stream.reply is not None:
            yield stream.reply

    async def _started(self) -> OpenAIModel:
        async with self._starting:
            if self._remote is None:
                self._server, address = await asyncio.to_thread(self._serve)
                self._remote = OpenAIModel(f"{address}/v1", self._path.stem, timeout_s=self._timeout_s, name=self.name)
            return self._remote

    def _serve(self) -> tuple[object, str]:
        for name, value in _QUIET_THREADS.items():
            os.environ.setdefault(name, value)
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path, params.model_alias = str(self._path), {self._path.stem}
        params.hostnames, params.port = ["127.0.0.1"], 0
        params.n_parallel, params.n_ctx = self._slots, self._slots * self._context
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        params.slot_prompt_similarity = _OWN_CONVERSATION
        params.verbosity = -1
        try:
            server = xllamacpp.Server(params)
        except RuntimeError as error:
            raise SettingsError(f"llama.cpp cannot load {self._path}: {error}", hint="is it a whole GGUF file?") from error
        return server, str(server.listening_address)
