"""What each way of failing of an OpenAI-compatible server means: try again, a failure of this request, or no use going on.

Pure but for the clock of a `retry-after` date. The three answers: TransientModelError (408, 409, 425, 429, 5xx, time-outs, dropped
connections, garbage), ModelError (400, 403, 413, 422: this request will never be answered), ServerUnavailableError (refused or unresolvable
address, TLS; 401, 402, 404, an exhausted quota: no request will be, until somebody changes something).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

from strategist.errors import ModelError, ServerUnavailableError, StrategistError, TransientModelError

_TRANSIENT = frozenset({408, 409, 425, 429})
_GIVEN_UP = frozenset({504, 524})
"""A proxy has given up waiting for a server that may go on, and bill."""
_REFUSED = re.compile(r"content_filter|content_policy|content management policy|safety system", re.I)
"""How providers say in a 400 that they will not answer this: OpenAI, Azure, and who speaks like them."""
_HINTS = {
    400: "the request does not suit this model; the usual causes are a conversation longer than its context, or tools it cannot take",
    403: "the server forbids this request",
    413: "the request is longer than the server takes",
    422: "the server does not know one of the request's fields",
}


def classified(error: Exception, *, server: str, model: str, key_hint: str) -> StrategistError | None:
    """The error that `error` means, or None if it is none of a server's ways of failing (then it is a bug of ours)."""
    import openai

    if isinstance(error, StrategistError):
        return error
    if isinstance(error, openai.APIStatusError):
        return _of_status(error.status_code, error.response.headers, _said(error), f"{server} ({model})", key_hint)
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return TransientModelError(f"the model server {server} did not answer in time", lost=True)
    if isinstance(error, openai.APIConnectionError):
        return _of_connection(error, server)
    broken = openai.APIError | json.JSONDecodeError | UnicodeDecodeError
    if isinstance(error, broken) or type(error).__module__.startswith("httpx"):
        return TransientModelError(f"the model server {server} broke off its answer: {error}", lost=True)
    return None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds or an HTTP date, RFC 9110 section 10.2.3); None if not said."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            return max(0.0, float(value) / unit)
        except ValueError:
            continue
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time())
    except ValueError:
        return None


def _of_connection(error: Exception, server: str) -> StrategistError:
    chain = list(causes(error))
    if any(type(cause).__name__ == "ConnectError" for cause in chain):  # of httpx or httpx2, as openai's version has it
        hint = "start the server, or correct `base_url` in strategist.toml; then resume: nothing is lost"
        return ServerUnavailableError(f"cannot reach the model server {server}: {chain[-1]}", hint=hint, passing=True)
    return TransientModelError(f"the connection to the model server {server} broke off", lost=True)


def _of_status(status: int, headers: Mapping[str, str], said: str, server: str, key_hint: str) -> StrategistError:
    what = f"the model server {server} answers {status}: {said}"
    if status in (401, 402) or "insufficient_quota" in said:
        return ServerUnavailableError(what, hint=f"check {key_hint} and the account behind it; then resume: nothing is lost")
    if status == 404:
        return ServerUnavailableError(what, hint="check `model` and `base_url` (it ends in /v1 on most servers); then resume")
    if status in _TRANSIENT or status >= 500:
        return TransientModelError(what, retry_after=retry_after_s(headers), rate_limited=status == 429, lost=status in _GIVEN_UP)
    refused = status == 400 and _REFUSED.search(said) is not None
    return ModelError(what, kind="refusal" if refused else "model", hint="" if refused else _HINTS.get(status, ""))


def _said(error: Exception) -> str:
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        parts = (body.get("code"), body.get("message"))
        return " ".join(str(part) for part in parts if part) or str(body)[:300]
    return " ".join(str(body or error).split())[:300]


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came of, outermost first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
