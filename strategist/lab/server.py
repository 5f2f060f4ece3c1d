"""The lab's models over HTTP: a small OpenAI-compatible server, with faults on demand.

Owns routes, counters and faults; the format is lab.wire's, what models say is lab.adapter's. Replies equal those in the process for the
same messages and seed; a request without a seed gets the next number of this server. A stand-in for a model server: no key is asked for.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from strategist.errors import ServerUnavailableError
from strategist.lab.adapter import ROLES, Answer, lab_answer
from strategist.lab.wire import Asked, BadRequest, chunks, completion, error_body, read_request
from strategist.lab.worlds import World, load_worlds
from strategist.records.base import canonical
from strategist.records.chat import Reply

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

START_SECONDS = 20.0
Fault = Literal["rate_limit", "server_error", "dropped", "empty"]


@dataclass(frozen=True)
class Faults:
    """What goes wrong, by request number (1, 2, ...): every k-th request meets the fault, 0 means never; the first that applies wins.

    rate_limit: 429 with retry-after. server_error: 500. dropped: the connection ends in the middle of the reply. empty: a reply without
    text. `latency_s` is waited before each answer; beyond `max_in_flight` (0: no limit) requests get 429."""

    rate_limit_every: int = 0
    server_error_every: int = 0
    dropped_every: int = 0
    empty_every: int = 0
    retry_after_s: float = 0.0
    latency_s: float = 0.0
    max_in_flight: int = 0

    def of(self, number: int) -> Fault | None:
        """The fault of a request."""
        plan: dict[Fault, int] = {
            "rate_limit": self.rate_limit_every,
            "server_error": self.server_error_every,
            "dropped": self.dropped_every,
            "empty": self.empty_every,
        }
        return next((fault for fault, every in plan.items() if every and number % every == 0), None)


class LabServer:
    """Answers chat requests and counts them: `requests` so far, `in_flight` now, the `peak` of that, `refused` for being too many."""

    def __init__(self, worlds: Iterable[World], faults: Faults = Faults()) -> None:
        self.faults = faults
        self.requests = self.in_flight = self.peak = self.refused = 0
        self._answers: Mapping[str, Answer] = {f"{world.name}/{role}": lab_answer(world, role) for world in worlds for role in ROLES}

    def app(self) -> Starlette:
        """The ASGI application: /health, /v1/models, /v1/chat/completions."""
        from starlette.applications import Starlette
        from starlette.responses import JSONResponse
        from starlette.routing import Route

        async def health(_: Request) -> Response:
            return JSONResponse({"status": "ok"})

        async def models(_: Request) -> Response:
            listed = [{"id": name, "object": "model", "created": 0, "owned_by": "lab"} for name in self._answers]
            return JSONResponse({"object": "list", "data": listed})

        return Starlette(
            routes=[
                Route("/health", health),
                Route("/v1/models", models),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
            ]
        )

    async def _chat(self, request: Request) -> Response:
        """One chat request, counted while it is being answered."""
        raw = await request.body()
        self.requests += 1
        number = self.requests
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await self._answered(raw, number)
        finally:
            self.in_flight -= 1

    async def _answered(self, raw: bytes, number: int) -> Response:
        fault = self.faults.of(number)
        if self.faults.max_in_flight and self.in_flight > self.faults.max_in_flight:
            self.refused += 1
            fault = "rate_limit"
        if fault == "rate_limit":
            return _error(429, "too many requests", "rate_limit_error", {"retry-after": f"{self.faults.retry_after_s:g}"})
        if fault == "server_error":
            return _error(500, "something broke in the lab", "server_error")
        if self.faults.latency_s:
            await asyncio.sleep(self.faults.latency_s)
        try:
            asked = read_request(raw)
        except BadRequest as error:
            return _error(400, str(error), "invalid_request_error")
        answer = self._answers.get(asked.model)
        if answer is None:
            return _error(404, f"no model {asked.model!r}; there are: {', '.join(self._answers)}", "not_found_error")
        reply = answer(asked.request, number if asked.seed is None else asked.seed)
        return _sent(asked, reply.model_copy(update={"text": ""}) if fault == "empty" else reply, dropped=fault == "dropped")


@dataclass(frozen=True)
class Served:
    """A running server: its base URL (ends with /v1) and its counters."""

    base_url: str
    server: LabServer


@contextmanager
def serve_lab(worlds: Iterable[World] | None = None, port: int = 0, *, faults: Faults = Faults()) -> Iterator[Served]:
    """Serve worlds (default: all committed ones) on 127.0.0.1 from a thread; port 0 takes a free one. Stops when the block ends.

    Raises ServerUnavailableError if the port is taken or the server does not start."""
    lab = LabServer(load_worlds().values() if worlds is None else worlds, faults)
    with _bound("127.0.0.1", port) as listener:
        server = _uvicorn(lab)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="lab-server", daemon=True)
        thread.start()
        try:
            _wait_for(server, thread)
            yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", lab)
        finally:
            server.should_exit = True
            thread.join()


def run_server(host: str, port: int, worlds: Iterable[World] | None = None, *, faults: Faults = Faults()) -> None:
    """Serve worlds until the process is told to stop. Raises ServerUnavailableError if the port is taken."""
    lab = LabServer(load_worlds().values() if worlds is None else worlds, faults)
    with _bound(host, port) as listener:
        _uvicorn(lab).run(sockets=[listener])


def _bound(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise ServerUnavailableError(f"the lab cannot listen on {host}:{port}: {error.strerror}", hint="choose another port") from None


def _uvicorn(lab: LabServer) -> uvicorn.Server:
    import uvicorn

    return uvicorn.Server(uvicorn.Config(lab.app(), log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=2))


def _wait_for(server: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise ServerUnavailableError("the lab's server did not start")
        time.sleep(0.005)


def _error(status: int, message: str, kind: str, headers: Mapping[str, str] | None = None) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse(error_body(message, kind), status_code=status, headers=dict(headers or {}))


def _sent(asked: Asked, reply: Reply, *, dropped: bool) -> Response:
    """The reply as a body or as server-sent events; a dropped one promises its whole length and ends half-way."""
    from starlette.responses import Response, StreamingResponse

    if asked.stream:
        events = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks(asked, reply)]
        events.append(b"data: [DONE]\n\n")
        kind = "text/event-stream"
    else:
        events, kind = [canonical(completion(asked, reply)).encode()], "application/json"
    if not dropped:
        return StreamingResponse(_each(events), media_type=kind) if asked.stream else Response(events[0], media_type=kind)
    whole = b"".join(events)
    return StreamingResponse(_each([whole[: len(whole) // 2]]), media_type=kind, headers={"content-length": str(len(whole))})


async def _each(events: list[bytes]) -> AsyncIterator[bytes]:
    for event in events:
        yield event
        await asyncio.sleep(0)
