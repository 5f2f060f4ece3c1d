"""The `strategist` command: parse, call, print. Errors meant for people are printed without a traceback; everything else is a bug of ours.

Commands import what they need when they run, so that `strategist --help` stays fast.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from strategist.errors import StrategistError

app = typer.Typer(
    name="strategist",
    help="Coach a small, self-hosted language model with tested strategies from a stronger one, without touching weights.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
library = typer.Typer(help="Look at the library, move it, check its index.", no_args_is_help=True)
domain = typer.Typer(help="Domain packs: a company's brief, personas, checks and tools.", no_args_is_help=True)
lab = typer.Typer(help="Simulated worlds whose best library is known.", no_args_is_help=True)
app.add_typer(library, name="library")
app.add_typer(domain, name="domain")
app.add_typer(lab, name="lab")

SettingsFile = Annotated[Path, typer.Option("--settings", "-s", help="The project's settings file.", show_default=True)]
DEFAULT = Path("strategist.toml")


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Set up nothing; every command opens what it needs."""
    if version:
        from strategist import __version__

        typer.echo(f"strategist {__version__}")
        raise typer.Exit


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write strategist.toml.")] = Path(),
    domain_name: Annotated[str, typer.Option("--domain", help="A built-in domain or the path of a pack.")] = "parcel",
    print_: Annotated[bool, typer.Option("--print", help="Print the file instead of writing it.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a commented strategist.toml."""
    from strategist.cli.init import run

    run(folder, domain_name, print_=print_, force=force)


@domain.command("check")
def domain_check(path: Annotated[Path, typer.Argument(help="Folder of the pack, or the name of a built-in one.")]) -> None:
    """Validate a domain pack: one line per fault, with file and line."""
    from strategist.cli.domains import check

    check(path)


@domain.command("list")
def domain_list() -> None:
    """The built-in domain packs."""
    from strategist.cli.domains import list_packs

    list_packs()


@app.command()
def teach(
    settings: SettingsFile = DEFAULT,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last unfinished run.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Start a new run although the last one is unfinished.")] = False,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, max=50, help="Instead of the settings' number of rounds.")] = None,
    replay_from: Annotated[
        Path | None,
        typer.Option("--replay-from", help="Answer from another database's call log first: repeats its run without paying again."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Run the loop: generate, select, coach, admit, consolidate, examine. Ctrl-C stops it cleanly; --resume goes on."""
    from strategist.cli.teach import run

    run(settings, resume=resume, new=new, rounds=rounds, replay_from=replay_from, quiet=quiet)


@app.command()
def evaluate(
    settings: SettingsFile = DEFAULT,
    arms: Annotated[str, typer.Option(help="Comma-separated: bare, handbook, random, library, teacher.")] = "bare,handbook,random,library",
    seeds: Annotated[int, typer.Option(min=1, max=50, help="Evaluation seeds per persona.")] = 1,
    personas: Annotated[int | None, typer.Option(min=2, help="Personas; default: all of the split.")] = None,
    split: Annotated[str, typer.Option(help="dev, or test: every opening of test is counted and named in the report.")] = "dev",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Compare arms on dev (or test) personas; stored with the last run and shown in its report."""
    from strategist.cli.evaluate import run

    run(settings, arms=arms, seeds=seeds, personas=personas, split=split, quiet=quiet)


@app.command()
def report(
    settings: SettingsFile = DEFAULT,
    run_id: Annotated[str | None, typer.Option("--run", help="Which run; default: the last one.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the page; default: beside the database.")] = None,
) -> None:
    """Write the run's report: one self-contained HTML page."""
    from strategist.cli.report import run

    run(settings, run_id=run_id, out=out)


@app.command("try")
def try_(
    conversation: Annotated[
        Path | None, typer.Argument(help="A file: JSON messages, or lines 'customer: ...' / 'agent: ...'. Default: stdin.")
    ] = None,
    settings: SettingsFile = DEFAULT,
    dry: Annotated[bool, typer.Option("--dry", help="Only show what is retrieved; ask no model.")] = False,
) -> None:
    """Paste a conversation: what is retrieved and why, and the reply with and without it."""
    from strategist.cli.try_ import run

    run(settings, conversation, dry=dry)


@library.command("list")
def library_list(
    settings: SettingsFile = DEFAULT,
    status: Annotated[str | None, typer.Option(help="proposed, admitted, approved or retired.")] = None,
) -> None:
    """All entries, one line each."""
    from strategist.cli.library import list_entries

    list_entries(settings, status)


@library.command("show")
def library_show(entry: Annotated[str, typer.Argument(help="Id of the entry.")], settings: SettingsFile = DEFAULT) -> None:
    """One entry with its evidence, replies and history."""
    from strategist.cli.library import show

    show(settings, entry)


@library.command("search")
def library_search(text: Annotated[str, typer.Argument(help="What a customer says.")], settings: SettingsFile = DEFAULT) -> None:
    """Which entries a customer's message would retrieve, with scores."""
    from strategist.cli.library import search

    search(settings, text)


@library.command("approve")
def library_approve(
    entry: Annotated[str, typer.Argument(help="Id of the entry.")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why.")],
    settings: SettingsFile = DEFAULT,
) -> None:
    """Mark an entry as approved by a person."""
    from strategist.cli.library import change_status

    change_status(settings, entry, "approve", reason)


@library.command("retire")
def library_retire(
    entry: Annotated[str, typer.Argument(help="Id of the entry.")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why.")],
    settings: SettingsFile = DEFAULT,
) -> None:
    """Take an entry out of use: it is gone from the next prompt."""
    from strategist.cli.library import change_status

    change_status(settings, entry, "retire", reason)


@library.command("export")
def library_export(
    out: Annotated[Path | None, typer.Argument(help="File to write; default: standard output.")] = None,
    settings: SettingsFile = DEFAULT,
) -> None:
    """Write the servable entries as canonical JSON lines with a content hash."""
    from strategist.cli.library import export

    export(settings, out)


@library.command("import")
def library_import(file: Annotated[Path, typer.Argument(help="A file written by export.")], settings: SettingsFile = DEFAULT) -> None:
    """Add the entries of an exported file; its hash is checked first."""
    from strategist.cli.library import import_file

    import_file(settings, file)


@library.command("verify")
def library_verify(settings: SettingsFile = DEFAULT) -> None:
    """Compare the index with the database; exit code 1 if they differ."""
    from strategist.cli.library import verify

    verify(settings)


@library.command("rebuild")
def library_rebuild(settings: SettingsFile = DEFAULT) -> None:
    """Drop the index and fill it again from the database."""
    from strategist.cli.library import rebuild

    rebuild(settings)


@lab.command("list")
def lab_list() -> None:
    """The simulated worlds."""
    from strategist.cli.lab import list_worlds

    list_worlds()


@lab.command("serve")
def lab_serve(
    port: Annotated[int, typer.Option(help="Loopback port.")] = 8099,
) -> None:
    """Serve the simulated models over HTTP like an OpenAI-compatible server."""
    from strategist.cli.lab import serve

    serve(port)


@app.command()
def demo(
    folder: Annotated[Path | None, typer.Option(help="Where to put the demo; default: runs/demo or runs/demo-real.")] = None,
    real: Annotated[bool, typer.Option("--real", help="A real small model on this machine's CPU instead of simulated ones.")] = False,
    gguf: Annotated[Path | None, typer.Option("--gguf", help="Model file for --real; default: $STRATEGIST_GGUF.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="Evaluation seeds.")] = 3,
    foreground: Annotated[bool, typer.Option("--foreground", help="With --real: stay in this process.")] = False,
) -> None:
    """Teach a student from nothing and write the report: simulated in under a minute, or real with --real."""
    if real:
        from strategist.cli.demo_real import run as run_real

        run_real(folder or Path("runs/demo-real"), gguf, seeds=seeds, foreground=foreground)
    else:
        from strategist.cli.demo import run

        run(folder or Path("runs/demo"), seeds=seeds)


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except StrategistError as error:
        from rich.console import Console
        from rich.text import Text

        console = Console(stderr=True)
        console.print(Text("error: ", style="bold red") + Text(error.message))
        if error.hint:
            console.print(Text(f"  {error.hint}", style="dim"))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
