"""Over HTTP the lab's models are the same models; faults come when they are asked for."""

import asyncio
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from strategist.errors import ModelError, ServerUnavailableError, SettingsError, TransientModelError
from strategist.lab import server as lab_server
from strategist.lab.adapter import lab_answer, lab_model, lab_models, open_lab_model, register_lab_models
from strategist.lab.server import Faults, LabServer, run_server, serve_lab
from strategist.lab.worlds import World
from strategist.models.adapters.openai import OpenAIModel
from strategist.models.open import open_model
from strategist.models.structured import reply_schema
from strategist.records.chat import Message, ModelRequest, Reply
from strategist.roles.teacher import GapReport
from strategist.settings import ModelSettings

Ask = Callable[[World, int, Sequence[str]], ModelRequest]
DRAWS = (0, 1, 2**31 - 1, 2**31, 2**47 + 11)


async def replies(url: str, name: str, asked: Sequence[tuple[ModelRequest, int]]) -> list[Reply]:
    model = OpenAIModel(url, name)
    try:
        return list(await asyncio.gather(*(model.reply(request, draw) for request, draw in asked)))
    finally:
        await model.close()


async def streamed(url: str, name: str, request: ModelRequest, draw: int) -> tuple[str, Reply | None]:
    model = OpenAIModel(url, name)
    try:
        stream = model.stream(request, draw)
        pieces = [piece async for piece in stream]
        assert len(pieces) > 3
        return "".join(pieces), stream.reply
    finally:
        await model.close()


def test_replies_over_http_equal_those_in_the_process(worlds: dict[str, World], ask: Ask) -> None:
    world = worlds["specific"]
    asked = [(ask(world, index, lines), draw) for index in range(4) for lines in ((), (world.needs[0].line,)) for draw in DRAWS]
    local = lab_model(world, "student")
    with serve_lab() as served:
        over_http = asyncio.run(replies(served.base_url, "specific/student", asked))
        text, whole = asyncio.run(streamed(served.base_url, "specific/student", *asked[0]))
    assert over_http == [asyncio.run(local.reply(request, draw)) for request, draw in asked]
    assert len({reply.text for reply in over_http}) > 10
    assert (text, whole) == (over_http[0].text, over_http[0])
    assert served.server.requests == len(asked) + 1
    assert served.server.in_flight == 0


def test_a_schema_is_answered_over_http_as_in_the_process(worlds: dict[str, World]) -> None:
    world = worlds["specific"]
    prompt = "<conversation>\nCustomer: My parcel has not arrived.\n</conversation>\n<reply_b>\nWe look into it.\n</reply_b>"
    request = ModelRequest(messages=(Message(role="user", content=prompt),), json_schema=reply_schema(GapReport))
    with serve_lab([world]) as served:
        (reply,) = asyncio.run(replies(served.base_url, "specific/teacher", [(request, 5)]))
    assert reply == lab_answer(world, "teacher")(request, 5)
    assert GapReport.model_validate_json(reply.text).gap != "none"


def test_only_the_worlds_asked_for_are_served(worlds: dict[str, World], ask: Ask) -> None:
    with serve_lab([worlds["one_line"]]) as served:
        with urllib.request.urlopen(f"{served.base_url}/models") as response:
            listed = [model["id"] for model in json.load(response)["data"]]
        with urllib.request.urlopen(f"{served.base_url.removesuffix('/v1')}/health") as response:
            assert json.load(response) == {"status": "ok"}
        with pytest.raises(ServerUnavailableError, match="no model 'specific/student'"):
            asyncio.run(replies(served.base_url, "specific/student", [(ask(worlds["specific"], 0, ()), 0)]))
    assert listed == ["one_line/student", "one_line/teacher", "one_line/judge"]


def post(url: str, body: bytes) -> tuple[int, Any]:
    request = urllib.request.Request(f"{url}/chat/completions", data=body, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_bad_bodies_are_refused_and_a_seed_may_be_left_out(worlds: dict[str, World]) -> None:
    world = worlds["specific"]
    message = {"role": "user", "content": "My parcel has not arrived."}
    body = {"model": "specific/student", "messages": [message], "temperature": 1}
    with serve_lab([world]) as served:
        assert post(served.base_url, b"{") == (
            400,
            {"error": {"message": "the body is not JSON", "type": "invalid_request_error", "param": None, "code": None}},
        )
        status, answer = post(served.base_url, json.dumps(body).encode())
    request = ModelRequest(messages=(Message.model_validate(message),))
    assert (status, answer["choices"][0]["message"]["content"]) == (200, lab_answer(world, "student")(request, 2).text)


def test_every_kth_request_meets_its_fault(worlds: dict[str, World], ask: Ask) -> None:
    world = worlds["specific"]
    request = ask(world, 0, ())
    faults = Faults(rate_limit_every=2, server_error_every=3, dropped_every=5, empty_every=7, retry_after_s=0.25)
    seen: list[str] = []
    with serve_lab([world], faults=faults) as served:

        async def one_by_one() -> None:
            model = OpenAIModel(served.base_url, "specific/student")
            for number in range(1, 8):
                try:
                    seen.append("ok" if (await model.reply(request, number)).text else "empty")
                except TransientModelError as error:
                    seen.append(f"limited {error.retry_after}" if error.rate_limited else "failed")
                except ModelError as error:
                    seen.append(error.kind)
            await model.close()

        asyncio.run(one_by_one())
    assert seen[:6] == ["ok", "limited 0.25", "failed", "limited 0.25", "failed", "limited 0.25"]
    assert seen[6] == "empty"


def test_a_dropped_stream_ends_half_way(worlds: dict[str, World], ask: Ask) -> None:
    request = ask(worlds["specific"], 0, ())
    with serve_lab([worlds["specific"]], faults=Faults(dropped_every=1)) as served, pytest.raises(TransientModelError):
        asyncio.run(streamed(served.base_url, "specific/student", request, 0))


def test_more_than_max_in_flight_are_refused_and_the_peak_is_counted(worlds: dict[str, World], ask: Ask) -> None:
    request = ask(worlds["specific"], 0, ())

    async def all_at_once(url: str) -> list[Reply | BaseException]:
        model = OpenAIModel(url, "specific/student")
        found = await asyncio.gather(*(model.reply(request, draw) for draw in range(6)), return_exceptions=True)
        await model.close()
        return list(found)

    with serve_lab([worlds["specific"]], faults=Faults(latency_s=0.3, max_in_flight=4)) as served:
        found = asyncio.run(all_at_once(served.base_url))
    refused = [reply for reply in found if isinstance(reply, TransientModelError) and reply.rate_limited]
    assert served.server.peak > 4
    assert len(refused) == served.server.refused == 2


def test_a_taken_port_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerUnavailableError, match=f"cannot listen on 127.0.0.1:{port}"), serve_lab(port=port):
            pass
        with pytest.raises(ServerUnavailableError, match=f"cannot listen on 127.0.0.1:{port}"):
            run_server("127.0.0.1", port)


def test_run_server_serves_until_it_is_stopped(worlds: dict[str, World], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    make = lab_server._uvicorn

    def kept(lab: LabServer) -> Any:
        started.append(make(lab))
        return started[0]

    monkeypatch.setattr(lab_server, "_uvicorn", kept)
    thread = threading.Thread(target=run_server, args=("127.0.0.1", 0, [worlds["specific"]]))
    thread.start()
    while not started or not started[0].started:
        thread.join(0.01)
        assert thread.is_alive()
    started[0].should_exit = True
    thread.join(10)
    assert not thread.is_alive()


def test_a_server_that_does_not_come_up_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dead:
        started = False
        should_exit = False

        def run(self, sockets: object) -> None:
            """Ends at once."""

    monkeypatch.setattr(lab_server, "_uvicorn", lambda _: Dead())
    with pytest.raises(ServerUnavailableError, match="did not start"), serve_lab():
        pass


def test_lab_models_open_by_name() -> None:
    register_lab_models()
    settings = ModelSettings(adapter="lab", model="misleading/teacher")
    assert open_model(settings).name == open_lab_model(settings).name == "lab:misleading/teacher"
    assert len(lab_models()) == 12
    for wrong in ("misleading", "flat/student", "misleading/cook"):
        with pytest.raises(SettingsError, match="no lab model named") as caught:
            open_lab_model(ModelSettings(adapter="lab", model=wrong))
        assert "specific/student" in caught.value.hint
