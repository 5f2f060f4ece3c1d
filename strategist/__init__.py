"""strategist: coach a small, self-hosted language model with tested strategies. Public names are loaded when first used (PEP 562)."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strategist.agent import Agent as Agent
    from strategist.domains.pack import find_domain as find_domain
    from strategist.errors import StrategistError as StrategistError
    from strategist.project import Project as Project
    from strategist.project import open_project as open_project
    from strategist.settings import Settings as Settings
    from strategist.settings import load_settings as load_settings

__version__ = "0.1.0"

_HOMES = {
    "Agent": "strategist.agent",
    "Project": "strategist.project",
    "Settings": "strategist.settings",
    "StrategistError": "strategist.errors",
    "find_domain": "strategist.domains.pack",
    "load_settings": "strategist.settings",
    "open_project": "strategist.project",
}

__all__ = ["Agent", "Project", "Settings", "StrategistError", "__version__", "find_domain", "load_settings", "open_project"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'strategist' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
