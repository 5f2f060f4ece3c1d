"""A scripted OpenAI-compatible server on loopback, for fault tests: it answers, delays, refuses, cuts the connection, or talks nonsense.

It runs in a thread with its own event loop and counts what it saw. `script(body, number)` decides each answer; `number` counts requests
from 0 in order of arrival.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Answer:
    """One answer. `body` replaces the completion; `cut` closes the connection (when streaming: after `cut_after` pieces)."""

    text: str | None = "ok"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut: bool = False
    cut_after: int | None = None
    end_after: int | None = None
    body: str | None = None
    finish: str = "stop"
    tool_calls: tuple[dict[str, Any], ...] = ()
    refusal: str | None = None
    usage: dict[str, Any] | None = field(
        default_factory=lambda: {"prompt_tokens": 20, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 8}}
    )


Script = Callable[[dict[str, Any], int], Answer]


class FakeOpenAI:
    """Use as a context manager; `url` is the base URL."""

    def __init__(self, script: Script | None = None) -> None:
        self.script: Script = script or (lambda body, number: Answer())
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.peak = 0
        self._now = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=512)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
        number = len(self.requests)
        self.requests.append(body)
        self.headers.append(headers)
        self.paths.append(first.split(" ")[1])
        self._now += 1
        self.peak = max(self.peak, self._now)
        try:
            answer = self.script(body, number)
            if answer.delay_s:
                await asyncio.sleep(answer.delay_s)
        finally:
            self._now -= 1
        if answer.cut:
            return False
        if body.get("stream") and answer.status == 200 and answer.body is None:
            return await self._stream(writer, answer)
        payload = (answer.body if answer.body is not None else json.dumps(_completion(answer))).encode()
        extra = {"content-type": "application/json", "content-length": str(len(payload)), **answer.headers}
        writer.write(_head(answer.status, extra) + payload)
        await writer.drain()
        return True

    async def _stream(self, writer: asyncio.StreamWriter, answer: Answer) -> bool:
        writer.write(_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
        for count, event in enumerate(_events(answer)):
            if count == answer.cut_after:
                await writer.drain()
                return False
            if count == answer.end_after:
                break
            writer.write(_chunk(f"data: {event}\n\n"))
            await writer.drain()
        writer.write(_chunk("data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()
        return True


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _chunk(text: str) -> bytes:
    payload = text.encode()
    return f"{len(payload):x}\r\n".encode() + payload + b"\r\n"


def _completion(answer: Answer) -> dict[str, Any]:
    if answer.status != 200:
        return {"error": {"message": answer.text, "type": "error", "code": None}}
    message = {"role": "assistant", "content": answer.text, "refusal": answer.refusal, "tool_calls": list(answer.tool_calls) or None}
    choice = {"index": 0, "message": message, "finish_reason": answer.finish}
    return {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": answer.usage}


def _events(answer: Answer) -> list[str]:
    words = (answer.text or "").split(" ")
    deltas: list[dict[str, Any]] = [{"content": word + (" " if i < len(words) - 1 else "")} for i, word in enumerate(words)]
    deltas += [{"tool_calls": [call]} for call in answer.tool_calls]
    base = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    events = [{**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": answer.finish}]})
    events.append({**base, "choices": [], "usage": answer.usage})
    return [json.dumps(event) for event in events]
