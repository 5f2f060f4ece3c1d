"""`strategist init`: a commented settings file whose every line is checked by the same reader that will use it."""

from __future__ import annotations

from pathlib import Path

import typer

from strategist.errors import SettingsError

TEMPLATE = """\
# Settings of a strategist project. Every line that is commented out shows its default.
# Paths are relative to this file. Secrets never stand here: settings name environment variables.

domain = "{domain}"                  # a built-in pack (strategist domain list) or the path of your own
# database = ".strategist/strategist.db"
# seed = 0                           # with the call log it decides what is learned
# serve_status = "admitted"          # what may reach customers: "admitted" (passed its test) or "approved" (by a person)

[student]                            # the small model you serve yourself: vLLM, llama.cpp, any OpenAI-compatible server
adapter = "openai"                   # "openai", or "embedded": a GGUF file on this machine's CPU
model = "student"                    # the name the server gives it
base_url = "http://127.0.0.1:8000/v1"
# api_key_env = "OPENAI_API_KEY"     # name of the environment variable that holds the key
# path = "model.gguf"                # for adapter = "embedded"
# temperature = 0.7
# max_tokens = 200
# max_in_flight = 8                  # calls at once; falls by itself when the server says 429
# timeout_s = 120.0
# retries = 4
# tool_style = "native"              # "text" for models that write tool calls as plain text
# price_in = 0.0                     # US dollars per million tokens
# price_out = 0.0

[advisor]                            # who writes the strategies
kind = "handbook"                    # "handbook": your checks' advice lines; "model": a stronger LLM, which then also acts as teacher
# max_lines = 3
# [advisor.model]                    # for kind = "model"
# model = "gpt-x"
# base_url = "https://api.example.com/v1"

[customer]
kind = "scripted"                    # "scripted": persona cards played by code; "model": an LLM (then give [customer.model])

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
# first_stage = 4
# second_stage = 18
# fdr = 0.1
# hard_level = 0.1

[retrieval]
# embedder = "auto"                  # "auto", "endpoint", "minilm", "hashed"; fixed for a library once it has entries
# index = "chroma"                   # or "exact"
# k = 3
# max_lines = 8
# max_tokens = 350

[budget]                             # a wall: the run ends cleanly when it is reached
# calls = 2000
# tokens = 2000000
# usd = 10.0
"""


def run(folder: Path, domain: str, *, print_: bool, force: bool) -> None:
    """Write (or print) the settings file."""
    text = TEMPLATE.format(domain=domain)
    if print_:
        typer.echo(text, nl=False)
        return
    path = folder / "strategist.toml"
    if path.exists() and not force:
        raise SettingsError(f"{path} is there already", hint="pass --force to overwrite it")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {path}\nnext: start your model server, then `strategist teach`")
