"""From settings to models: which adapter a name stands for, and a recorded client around it.

Owns the register of adapters; `lab` and others enter it from outside, since this layer knows no simulated worlds.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from strategist.errors import SettingsError
from strategist.models.budget import Budget
from strategist.models.client import ModelClient
from strategist.models.limiter import limiter_for
from strategist.models.protocol import Model
from strategist.records.chat import RoleName
from strategist.settings import ModelSettings
from strategist.store import CallLog

ModelFactory = Callable[[ModelSettings], Model]


def open_model(settings: ModelSettings) -> Model:
    """The model of these settings. Raises SettingsError: adapter not registered, package or file missing."""
    factory = _adapters.get(settings.adapter)
    if factory is None:
        known = ", ".join(sorted(_adapters))
        raise SettingsError(f"no adapter is registered as `{settings.adapter}`", hint=f"registered are: {known}")
    return factory(settings)


def register_adapter(name: str, factory: ModelFactory) -> None:
    """Make `adapter = "<name>"` open models with `factory`; an earlier registration is replaced."""
    _adapters[name] = factory


def open_client(
    settings: ModelSettings,
    *,
    role: RoleName,
    run: str,
    seed: int,
    calls: CallLog,
    budget: Budget,
    model: Model | None = None,
    notify: Callable[[str], None] = lambda text: None,
) -> ModelClient:
    """A recorded client for a role, with the settings' limits and prices; `model` re-uses one that is open, `notify` hears of outages."""
    price_in, price_out = prices_of(settings)
    return ModelClient(
        model or open_model(settings),
        role=role,
        run=run,
        seed=seed,
        calls=calls,
        budget=budget,
        limiter=limiter_for(server_of(settings), settings.max_in_flight),
        retries=settings.retries,
        price_in=price_in,
        price_out=price_out,
        outage_s=settings.outage_s,
        notify=notify,
    )


def prices_of(settings: ModelSettings) -> tuple[float, float]:
    """US dollars per million tokens, in and out: the settings', else for `litellm` those of its own table. 0 where nothing is known."""
    if settings.adapter != "litellm" or {"price_in", "price_out"} & settings.model_fields_set:
        return settings.price_in, settings.price_out
    from strategist.models.adapters.litellm import local_prices

    return local_prices(settings.model) or (0.0, 0.0)


def server_of(settings: ModelSettings) -> str:
    """What names the server of a model, for its limiter: the base URL, or the file that is served in this process."""
    if settings.adapter == "openai" or _own_url(settings):
        return settings.base_url.rstrip("/")
    return f"{settings.adapter}:{settings.path or settings.model}"


def _open_openai(settings: ModelSettings) -> Model:
    from strategist.models.adapters.openai import OpenAIModel

    key = os.environ.get(settings.api_key_env, "")
    hint = f"the API key in the environment variable {settings.api_key_env}"
    return OpenAIModel(settings.base_url, settings.model, key, settings.timeout_s, key_hint=hint)


def _open_litellm(settings: ModelSettings) -> Model:
    from strategist.models.adapters.litellm import LiteLLMModel

    key = os.environ.get(settings.api_key_env, "") if "api_key_env" in settings.model_fields_set else ""
    return LiteLLMModel(settings.model, base_url=_own_url(settings), api_key=key, timeout_s=settings.timeout_s)


def _own_url(settings: ModelSettings) -> str:
    """The URL that was set for a model of `litellm`, which knows those of the providers."""
    return settings.base_url if settings.adapter == "litellm" and "base_url" in settings.model_fields_set else ""


def _open_embedded(settings: ModelSettings) -> Model:
    from strategist.models.adapters.embedded import EmbeddedModel

    if settings.path is None:
        raise SettingsError("the adapter `embedded` needs `path`, a GGUF file", hint="set `path` of this model in strategist.toml")
    return EmbeddedModel(
        settings.path,
        slots=settings.max_in_flight,
        context_tokens=settings.context_tokens,
        threads=settings.threads,
        timeout_s=settings.timeout_s,
    )


_adapters: dict[str, ModelFactory] = {"openai": _open_openai, "litellm": _open_litellm, "embedded": _open_embedded}
