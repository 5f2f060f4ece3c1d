"""Reads a domain pack from its folder. `read_pack` collects what it finds, faults included; `load_domain` insists on a usable pack.

Owns the list of a pack's files and its hash, and where packs are looked for. The format is described in docs/domains.md.
"""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from strategist.domains.checks import Check
from strategist.domains.domain import REMEMBERED, Domain, Tool
from strategist.domains.faults import Fault, as_error, is_error
from strategist.domains.manifest import Manifest, Rule, read_manifest, read_rules
from strategist.domains.pack_code import load_checks, load_tools
from strategist.domains.reading import parse_json, read_text
from strategist.domains.templates import Deck, TemplateLine, read_templates
from strategist.errors import DomainError
from strategist.records.base import JsonObject, digest

MANIFEST, BRIEF, PERSONAS = "domain.toml", "brief.md", "personas.jsonl"
CHECKS, TOOLS, STATE = "checks.py", "tools.py", "state.json"
_PURPOSE = {
    MANIFEST: "it names the pack, its splits and its slots",
    BRIEF: "it holds the company's rules, each a line `R1. What holds.`",
    PERSONAS: "it holds one issue template per line",
}


@dataclass(frozen=True)
class Pack:
    """A pack's parts as far as they could be read. `faults` are in the order they were found."""

    path: Path
    manifest: Manifest | None
    brief: str
    rules: tuple[Rule, ...]
    lines: tuple[TemplateLine, ...]
    checks: tuple[Check, ...]
    tools: tuple[Tool, ...]
    state: JsonObject
    faults: tuple[Fault, ...]

    @property
    def deck(self) -> Deck:
        """The templates with what they share. Needs a manifest."""
        if self.manifest is None:
            raise ValueError("a pack without a manifest has no personas")
        return Deck(self.manifest.name, self.manifest.slots, self.state, tuple(line.template for line in self.lines))

    @property
    def issues(self) -> tuple[str, ...]:
        """The issues of all templates, each once, in file order."""
        return tuple(dict.fromkeys(line.template.issue for line in self.lines))


def load_domain(path: Path) -> Domain:
    """The domain in a pack's folder. Raises DomainError naming file and line for everything that makes it unusable."""
    pack = read_pack(path)
    if pack.manifest is None or any(is_error(fault) for fault in pack.faults):
        raise as_error(path, pack.faults)
    try:
        return domain_of(pack, pack.manifest)
    except OSError as error:
        raise DomainError(f"{error.filename}: cannot be read: {error.strerror}") from None


def domain_of(pack: Pack, manifest: Manifest) -> Domain:
    """The domain made of a pack's parts."""
    return Domain(
        name=manifest.name,
        title=manifest.title,
        language=manifest.language,
        brief=pack.brief,
        pack_hash=pack_hash(pack.path),
        checks=pack.checks,
        tools=pack.tools,
        draw=lru_cache(REMEMBERED)(pack.deck.draw),
        split_sizes=manifest.splits.as_dict(),
        issues=pack.issues,
        reply_words=manifest.reply_words,
        recorded=manifest.customers == "recorded",
    )


def read_pack(path: Path) -> Pack:
    """Everything in a pack's folder, with a fault for each thing that is wrong. Never raises."""
    faults: list[Fault] = []
    if not path.is_dir():
        message = "this is no folder; a domain pack is one" if path.exists() else "there is no such folder"
        return Pack(path, None, "", (), (), (), (), {}, (Fault(file=str(path), line=0, message=message),))
    table, brief = (read_text(path / name, faults, missing=_PURPOSE[name]) for name in (MANIFEST, BRIEF))
    manifest = None if table is None else read_manifest(path / MANIFEST, table, faults)
    told = manifest is not None and manifest.customers == "recorded"
    stories = None if told else read_text(path / PERSONAS, faults, missing=_PURPOSE[PERSONAS])
    rules = () if brief is None else read_rules(path / BRIEF, brief, faults)
    lines: tuple[TemplateLine, ...] = ()
    if stories is not None and manifest is not None:
        lines = read_templates(path / PERSONAS, stories, manifest.slots, faults)
        faults.extend(_empty_splits(path / PERSONAS, lines, manifest))
    state = _read_state(path / STATE, faults)
    checks = load_checks(path / CHECKS, faults) if (path / CHECKS).exists() else ()
    tools = load_tools(path / TOOLS, faults)
    return Pack(path, manifest, brief or "", rules, lines, checks, tools, state, tuple(faults))


def pack_hash(path: Path) -> str:
    """SHA-256 over names and bytes of all files of a pack; hidden files and Python's caches are left out."""
    found = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    visible = {
        name: file for name, file in found.items() if not any(part.startswith(".") or part == "__pycache__" for part in name.split("/"))
    }
    return digest([[name, hashlib.sha256(visible[name].read_bytes()).hexdigest()] for name in sorted(visible)])


def builtin_packs() -> dict[str, Path]:
    """The packs that come with strategist, by name: from the installed package or, in an editable install, from the repository."""
    package = Path(__file__).resolve().parent.parent
    folder = package / "scenarios" if (package / "scenarios").is_dir() else package.parent / "scenarios"
    return {file.parent.name: file.parent for file in sorted(folder.glob(f"*/{MANIFEST}"))}


def find_domain(name_or_path: str, folder: Path) -> Domain:
    """The domain at a path (relative to `folder`) if that exists, else the built-in one of that name. Raises DomainError for neither."""
    path = folder / Path(name_or_path).expanduser()
    if name_or_path and path.exists():
        return load_domain(path)
    packs = builtin_packs()
    if name_or_path in packs:
        return load_domain(packs[name_or_path])
    neighbours = {file.parent.name for file in folder.glob(f"*/{MANIFEST}")}
    close = difflib.get_close_matches(name_or_path, sorted({*packs, *neighbours}), n=1)
    known = f"built in: {', '.join(packs) or 'none'}; or give the path of a pack's folder"
    hint = f"did you mean `{close[0]}`? ({known})" if close else known
    raise DomainError(f"there is no domain `{name_or_path}`: neither a folder {path} nor a built-in pack", hint=hint)


def _read_state(path: Path, faults: list[Fault]) -> JsonObject:
    text = read_text(path, faults) if path.exists() else None
    return {} if text is None else parse_json(path, text, faults) or {}


def _empty_splits(path: Path, lines: tuple[TemplateLine, ...], manifest: Manifest) -> list[Fault]:
    used = {line.template.split for line in lines}
    empty = [split for split in manifest.splits.as_dict() if split not in used]
    return [Fault(file=str(path), line=0, message=f"no usable template for the split {split!r}") for split in empty]
