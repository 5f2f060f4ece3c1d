"""Errors for users: one type per boundary, each saying what is wrong, where, and what to do next.

The command line prints these and nothing else; a traceback is a bug of ours.
A failed conversation is not an error but data (records.trace.Failure).
"""

from __future__ import annotations


class StrategistError(Exception):
    """Base of all errors meant for people. `hint` says what to do next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class SettingsError(StrategistError):
    """strategist.toml or an option is wrong."""

    exit_code = 2


class DomainError(StrategistError):
    """A domain pack is wrong; the message names file and line."""

    exit_code = 2


class StoreError(StrategistError):
    """The database cannot be used: locked, damaged, full disk, other schema version."""


class LibraryError(StrategistError):
    """A library operation is not possible: unknown entry, damaged index, wrong import."""


class ModelError(StrategistError):
    """A model call failed for good. `kind` says how; it becomes a recorded failure of the conversation."""

    def __init__(self, message: str, *, kind: str = "model", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


class TransientModelError(ModelError):
    """Worth trying again: 408, 409, 429, 5xx, time-outs, dropped connections. `retry_after` in seconds, where the server said so.
    `lost`: no answer came back, so the server may have worked on it and billed it."""

    def __init__(self, message: str, *, retry_after: float | None = None, rate_limited: bool = False, lost: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.rate_limited = rate_limited
        self.lost = lost


class ServerUnavailableError(StrategistError):
    """The model server does not answer at all, or takes no call from us (key, credit, model name). The run stops cleanly, to be resumed.

    `passing`: time alone may mend it, so it is worth waiting for; a wrong key is not."""

    def __init__(self, message: str, *, hint: str = "", passing: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.passing = passing


class BudgetExceededError(StrategistError):
    """The next call does not fit into the budget. The run ends cleanly with everything kept."""


class RunInterruptedError(StrategistError):
    """The user stopped the run (Ctrl-C). Everything up to here is kept."""

    exit_code = 130
