"""Requests as the loop makes them: the agent's system message, a persona's opening, guidance placed by the one function for it."""

from collections.abc import Callable, Sequence

import pytest

from strategist.agent import system_message
from strategist.lab.domain import lab_domain
from strategist.lab.worlds import World, load_worlds
from strategist.models.protocol import Model
from strategist.placement import place
from strategist.records.base import stable_int
from strategist.records.chat import Message, ModelRequest, Purpose, Reply
from strategist.roles.scripted_customer import customer_turn

Ask = Callable[[World, int, Sequence[str]], ModelRequest]


@pytest.fixture(scope="session")
def worlds() -> dict[str, World]:
    return load_worlds()


@pytest.fixture(scope="session")
def ask() -> Ask:
    """(world, persona index, lines) -> the request for the agent's first reply to that train persona."""

    openings: dict[tuple[str, int], tuple[Message, Message]] = {}
    domains = {name: lab_domain(world) for name, world in load_worlds().items()}

    def make(world: World, index: int, lines: Sequence[str] = ()) -> ModelRequest:
        if (world.name, index) not in openings:
            persona = domains[world.name].draw("train", index, 0)
            opening = Message(role="user", content=customer_turn(persona, ()).text)
            openings[world.name, index] = (system_message(domains[world.name], persona, "native"), opening)
        return ModelRequest(messages=place(openings[world.name, index], lines))

    return make


class PlainChat:
    """A Chat without log or budget: purpose and sample number make the draw."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.requests: list[ModelRequest] = []

    @property
    def model_name(self) -> str:
        return self._model.name

    async def ask(self, request: ModelRequest, *, purpose: Purpose, sample: int = 0) -> Reply:
        self.requests.append(request)
        return await self._model.reply(request, stable_int(purpose, sample))


@pytest.fixture(scope="session")
def plain_chat() -> type[PlainChat]:
    return PlainChat
