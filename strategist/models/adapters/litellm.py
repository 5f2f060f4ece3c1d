"""The adapter for every provider that litellm knows by name: `anthropic/...`, `gemini/...`, `bedrock/...`, `openai/...` and a hundred more.

Owns what litellm must be told to be one call and nothing else: no retries, no cache, no telemetry, no list of prices from the network.
Records nothing; retries, budget and prices are models.client's. litellm takes seconds and some 170 MB to import, so it is imported when
the first model is opened. Its errors are openai's with other names, so `faults` decides what they mean.
"""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import NamedTuple

from strategist.errors import ModelError, ServerUnavailableError, SettingsError, TransientModelError
from strategist.models.adapters.faults import causes, classified
from strategist.models.adapters.wire import Gathered, read_completion, request_body
from strategist.models.streams import ReplyStream
from strategist.records.base import JsonObject
from strategist.records.chat import ModelRequest, Reply

_ITS_WARNING = r"Items? .* using the `ReadOnly` qualifier"
"""What pydantic says of litellm's types when they are first used, in the middle of a call."""
_open: set[int] = set()
"""Models that are open in this process: they share litellm's connections, which the last one closes."""


class Prices(NamedTuple):
    """US dollars per million tokens, in and out."""

    tokens_in: float
    tokens_out: float


class LiteLLMModel:
    """One model of one provider. Where `base_url` or `api_key` is empty, litellm takes the provider's own, the key from the environment."""

    def __init__(self, model: str, *, base_url: str = "", api_key: str = "", timeout_s: float = 120.0) -> None:
        self.model = model
        self._base_url, self._api_key, self._timeout_s = base_url, api_key, timeout_s
        self._litellm = load_litellm()
        self._known()
        _open.add(id(self))

    @property
    def name(self) -> str:
        """`litellm:<provider>/<model>`."""
        return f"litellm:{self.model}"

    async def reply(self, request: ModelRequest, draw: int) -> Reply:
        """Answer once. Raises TransientModelError, ModelError or ServerUnavailableError."""
        with self._classified():
            async with asyncio.timeout(self._timeout_s):
                response = await self._litellm.acompletion(**self._arguments(request, draw))
            return read_completion(response.model_dump_json())

    def stream(self, request: ModelRequest, draw: int) -> ReplyStream:
        """Yield the reply's text in pieces as they come; the whole with its usage is in `reply` at the end."""
        return ReplyStream(self._pieces(request, draw))

    async def close(self) -> None:
        """Close litellm's connections with the last model that is open; safe to call twice."""
        if id(self) in _open:
            _open.discard(id(self))
            if not _open:
                await self._litellm.close_litellm_async_clients()

    async def _pieces(self, request: ModelRequest, draw: int) -> AsyncGenerator[str | Reply]:
        whole = Gathered()
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        more: JsonObject = {"stream": True, "stream_options": {"include_usage": True}}
        with self._classified():
            async with asyncio.timeout_at(deadline):
                chunks = await self._litellm.acompletion(**self._arguments(request, draw) | more)
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
            raise TransientModelError(f"{self._server} ended its stream before its reply", lost=True)
        yield whole.reply()

    def _arguments(self, request: ModelRequest, draw: int) -> JsonObject:
        """What a provider cannot take (a seed, a JSON schema) is left out: a reply that is not as asked for is repaired above."""
        given: JsonObject = {"model": self.model, "timeout": self._timeout_s, "num_retries": 0, "max_retries": 0, "drop_params": True}
        if self._base_url:
            given["api_base"] = self._base_url
        if self._api_key:
            given["api_key"] = self._api_key
        return given | request_body(request, draw)

    @property
    def _server(self) -> str:
        return self._base_url or self.model.partition("/")[0]

    def _known(self) -> None:
        try:
            self._litellm.get_llm_provider(self.model, api_base=self._base_url or None)
        except self._litellm.BadRequestError:
            hint = "write it with its provider in front, as litellm does: openai/..., anthropic/..., gemini/..., hosted_vllm/..."
            raise SettingsError(f"litellm knows no provider for the model {self.model!r}", hint=hint) from None

    @contextmanager
    def _classified(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if isinstance(error, self._litellm.ContentPolicyViolationError):
                raise ModelError(f"{self.name} refuses: {str(error)[:200]}", kind="refusal") from error
            if any(type(cause).__name__ == "ConnectError" for cause in causes(error)):  # litellm calls it a server's error 500
                hint = "check the network and `base_url`; then resume: nothing is lost"
                raise ServerUnavailableError(f"cannot reach the model server {self._server}", hint=hint, passing=True) from error
            fault = classified(error, server=self._server, model=self.model, key_hint=f"the API key for {self._server}")
            if fault is None or fault is error:
                raise
            raise fault from error


def local_prices(model: str) -> Prices | None:
    """What litellm's own table says that a model costs; None where it does not know it, or says nothing."""
    try:
        info = load_litellm().get_model_info(model)
    except Exception:  # noqa: BLE001 - it raises plain Exception for what it does not know
        return None
    each = info.get("input_cost_per_token"), info.get("output_cost_per_token")
    return None if None in each else Prices(*(float(price or 0.0) * 1e6 for price in each))


@cache
def load_litellm() -> ModuleType:
    """litellm, told to stay off the network and to keep quiet. Raises SettingsError where it is not installed."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import asks for the newest prices
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import litellm
    except ImportError as error:
        raise SettingsError(f"the adapter `litellm` needs a package: {error}", hint="pip install 'strategist-llm[litellm]'") from None
    warnings.filterwarnings("ignore", message=_ITS_WARNING, category=UserWarning)
    logging.getLogger("LiteLLM").setLevel(logging.ERROR)  # it tells of its logging of calls, of which it has nothing to log
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.disable_aiohttp_transport = True  # its sessions outlive the event loop and complain
    return litellm
