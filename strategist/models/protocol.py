"""The two protocols of this layer.

A `Model` is an adapter: request and draw in, reply out, nothing recorded. A `Chat` is what everyone else uses: the same call under a
purpose and a sample number, recorded, cached, budgeted and limited (models.client). Neither knows what a strategy is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from strategist.records.chat import ModelRequest, Purpose, Reply


class Model(Protocol):
    """An adapter to one model. `draw` is a number made of run seed, purpose and sample number: scripted models answer f(request, draw)."""

    @property
    def name(self) -> str:
        """Identity of the model in call keys and evidence, e.g. `openai:student` or `embedded:qwen.gguf`."""
        ...

    async def reply(self, request: ModelRequest, draw: int) -> Reply:
        """Answer once. Raises TransientModelError, ModelError or ServerUnavailableError."""
        ...

    def stream(self, request: ModelRequest, draw: int) -> AsyncIterator[str]:
        """Yield the reply's text in pieces as they come. Raises like `reply`."""
        ...

    async def close(self) -> None:
        """Free connections or the embedded server; safe to call twice."""
        ...


class Chat(Protocol):
    """A recorded model in a role."""

    @property
    def model_name(self) -> str:
        """The model's identity (see Model.name)."""
        ...

    async def ask(self, request: ModelRequest, *, purpose: Purpose, sample: int = 0) -> Reply:
        """Answer from the call log, or by one paid call that is recorded before it is sent and before it is used.

        Raises ModelError (recorded, and raised again on every replay),
        BudgetExceededError or ServerUnavailableError (not recorded as an answer).
        """
        ...
