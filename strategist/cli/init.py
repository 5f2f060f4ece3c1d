"""`strategist init`: a commented settings file whose every line is checked by the same reader that will use it."""

from __future__ import annotations

import json
from pathlib import Path

from strategist.cli.console import err, out, say
from strategist.cli.files import write_text, written
from strategist.errors import DomainError, SettingsError

TEMPLATE = """\
# Settings of a strategist project. Every line that is commented out shows its default, or an example where the default is nothing.
# Paths are relative to this file. Secrets never stand here: settings name environment variables.

domain = {domain}  # a built-in pack (strategist domain list), the path of your own, or "lab:specific" (simulated)
# database = ".strategist/strategist.db"
# seed = 0                           # with the call log it decides what is learned
# serve_status = "admitted"          # what may reach customers: "admitted" (passed its test) or "approved" (by a person)

[student]                            # the small model you serve yourself: vLLM, llama.cpp, any OpenAI-compatible server
adapter = {adapter:<27}# "openai"; "litellm": any provider by name; "embedded": a GGUF file on this CPU; "lab": simulated
model = {model:<29}# the name the server gives it
base_url = "http://127.0.0.1:8000/v1"
# api_key_env = "OPENAI_API_KEY"     # name of the environment variable that holds the key
# path = "model.gguf"                # example; for adapter = "embedded"
# context_tokens = 4096              # for adapter = "embedded"
# threads = 2                        # for adapter = "embedded"
# temperature = 0.7
# max_tokens = 200
# max_in_flight = 8                  # calls at once; falls by itself when the server says 429
# timeout_s = 120.0
# retries = 4
# outage_s = 3600.0                  # how long a server that answered before and is gone is waited for
# tool_style = "native"              # "text" for models that write tool calls as plain text
# price_in = 0.0                     # US dollars per million tokens
# price_out = 0.0

[advisor]                            # who writes the strategies
kind = "handbook"                    # "handbook": your checks' advice lines; "model": a stronger LLM, which then also acts as teacher
# max_lines = 3
# [advisor.model]                    # for kind = "model"; takes every setting of [student]
# adapter = "litellm"                # example
# model = "anthropic/claude-x"       # example
# api_key_env = "ANTHROPIC_API_KEY"  # example

[customer]
kind = "scripted"                    # "scripted": persona cards played by code; "model": an LLM plays them
# [customer.model]                   # for kind = "model"; takes every setting of [student]
# model = "gpt-x"                    # example
# base_url = "https://api.example.com/v1"    # example

[judge]                              # who compares replies where the domain has no checks
kind = "none"                        # "model": an LLM, best of another family than the advisor's; have it checked: `strategist judge`
# [judge.model]                      # for kind = "model"; takes every setting of [student]
# model = "other-x"                  # example
# base_url = "https://api.example.com/v1"    # example

[teach]
# rounds = 3
# conversations = 24                 # per round
# scenarios = 24                     # states coached per round
# control_share = 0.1                # share of states where nothing is needed
# coaching_steps = 2
# candidates = 16                    # tested per round at most
# dev_personas = 16
# teacher_share = [1.0, 0.5, 0.0]    # share of conversations the teacher plays, by round (0 with the handbook)
# max_turns = 6

[gate]                               # docs/statistics.md says what these mean
# look = 4
# most = 34
# least = 12
# fdr = 0.1
# hard_level = 0.1
# extra_turns = 4                    # student replies on conversations for test moments, per conversation of the round
# own_phase = false

[retrieval]
# embedder = "auto"                  # "auto", "endpoint", "minilm", "hashed"; fixed for a library once it has entries
# embedder_url = "http://127.0.0.1:8001/v1"  # example; an OpenAI-compatible embeddings server
# embedder_model = "all-minilm"      # example
# minilm_folder = "models/minilm"    # example; a folder with MiniLM's ONNX files
# index = "chroma"                   # or "exact"
# k = 3                              # entries per turn at most
# max_lines = 8
# max_tokens = 350
# mmr_lambda = 0.7                   # 1.0: the nearest entries only; lower: entries that differ
# floor = 0.5                        # example; the score below which nothing is placed (default: measured by teach)

[budget]                             # a wall: the run ends cleanly when it is reached
# calls = 2000                       # example
# tokens = 2000000                   # example
# usd = 10.0                         # example
"""


LAB = "lab:"


def run(folder: Path, domain: str, *, print_: bool, force: bool) -> None:
    """Write (or print) the settings file."""
    name = written(domain, "--domain")
    simulated = name.startswith(LAB)
    text = TEMPLATE.format(
        domain=quoted(name),
        adapter=quoted("lab" if simulated else "openai"),
        model=quoted(f"{name.removeprefix(LAB)}/student" if simulated else "student"),
    )
    if print_:
        out.file.write(text)
        return
    path = folder / "strategist.toml"
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder} is a file", hint="init takes the folder of the project; the file in it is always strategist.toml")
    if path.exists() and not force:
        raise SettingsError(f"{path} is there already", hint="pass --force to overwrite it")
    write_text(path, text)
    say(f"wrote {path}")
    _warn(path)
    where = "" if folder.resolve() == Path.cwd() else f" --settings {path}"
    say(f"next: {'' if simulated else 'start your model server, then '}`strategist teach{where}`", "dim")


def quoted(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False)


def _warn(path: Path) -> None:
    """Say if the domain is not (yet) there or not usable: it can still be written."""
    from strategist.project import open_domain
    from strategist.settings import load_settings

    try:
        open_domain(load_settings(path))
    except DomainError as error:
        say(f"note: {error.message}", "yellow", to=err)
        for line in error.hint.splitlines():
            say(f"  {line}", "dim", to=err)
