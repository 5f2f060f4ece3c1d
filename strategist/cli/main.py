"""The `strategist` command: parse, call, print. `main` is the one place where errors are printed: those meant for people without a
traceback; everything else is a bug of ours.

Commands import what they need when they run, and help is plain text, so that `strategist --help` stays fast.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from strategist.errors import RunInterruptedError, StrategistError

app = typer.Typer(
    name="strategist",
    help="Coach a small, self-hosted language model with tested strategies from a stronger one, without touching weights.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
library = typer.Typer(help="Look at the library, move it, check its index.", no_args_is_help=True, rich_markup_mode=None)
domain = typer.Typer(help="Domain packs: brief, personas, checks, tools.", no_args_is_help=True, rich_markup_mode=None)
trace = typer.Typer(help="Conversations as they were, turn by turn.", no_args_is_help=True, rich_markup_mode=None)
judge = typer.Typer(help="How far a judge's verdicts can be trusted.", no_args_is_help=True, rich_markup_mode=None)
lab = typer.Typer(help="Simulated worlds whose best library is known.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(library, name="library")
app.add_typer(domain, name="domain")
app.add_typer(trace, name="trace")
app.add_typer(judge, name="judge")
app.add_typer(lab, name="lab")

SettingsFile = Annotated[Path, typer.Option("--settings", "-s", help="The project's settings file.", show_default=True)]
DEFAULT = Path("strategist.toml")


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Set up nothing but how the library speaks; every command opens what it needs."""
    import logging

    from strategist.cli.console import SaidAloud

    logger = logging.getLogger("strategist")
    if not any(isinstance(handler, SaidAloud) for handler in logger.handlers):
        logger.addHandler(SaidAloud())
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


@domain.command("check", short_help="Validate a pack, fault by fault.")
def domain_check(path: Annotated[Path, typer.Argument(help="Folder of the pack, or the name of a built-in one.")]) -> None:
    """Validate a domain pack: one line per fault, with file and line."""
    from strategist.cli.domains import check

    check(path)


@domain.command("list")
def domain_list() -> None:
    """The built-in domain packs."""
    from strategist.cli.domains import list_packs

    list_packs()


@app.command(short_help="Learn strategies; --resume goes on.")
def teach(
    settings: SettingsFile = DEFAULT,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last unfinished run.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Start a new run, although the last one is unfinished or under way.")] = False,
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


@app.command("import", short_help="Bring recorded conversations in, masked.")
def import_(
    file: Annotated[Path, typer.Argument(help="Conversations: .jsonl (OpenAI-style messages) or .csv (a turn a row).")],
    settings: SettingsFile = DEFAULT,
    who: Annotated[str, typer.Option("--as", help="Whose they are: agent (to be coached) or teacher (to learn from).")] = "agent",
    names: Annotated[list[str] | None, typer.Option("--map", help="FIELD=NAME for the file's own names, role.WORD=user.")] = None,
    source: Annotated[str, typer.Option("--name", help="What the import is called; default: the file's name.")] = "",
    region: Annotated[str, typer.Option(help="Country of phone numbers without a country's code, such as US; default: by language.")] = "",
    dry: Annotated[bool, typer.Option("--dry", help="Only read the file.")] = False,
) -> None:
    """Bring recorded conversations in: personal data masked, cut into turns, split by customer. A file twice changes nothing."""
    from strategist.cli.import_ import run

    run(settings, file, who=who, names=names or (), source=source, region=region, dry=dry)


@judge.command("label", short_help="Label pairs that the judge compared.")
def judge_label(
    settings: SettingsFile = DEFAULT,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Labels wanted in all.")] = 50,
    kind: Annotated[str, typer.Option(help="gate: replies without and with a line; teacher: the student's and the teacher's.")] = "gate",
) -> None:
    """Show pairs of replies, sides in random order, and ask which is better. Every label is kept at once."""
    from strategist.cli.judge import label

    label(settings, count=count, kind=kind)


@judge.command("score", short_help="Agreement, order, length, lean.")
def judge_score(settings: SettingsFile = DEFAULT) -> None:
    """What the labels say of the judge: agreement, kappa, error rate, lean, and effects of order and length."""
    from strategist.cli.judge import score_judges

    score_judges(settings)


@app.command(short_help="Erase a person's texts, or old ones.")
def purge(
    settings: SettingsFile = DEFAULT,
    customer: Annotated[str | None, typer.Option("--customer", help="Whose texts: the id that the imported file has for them.")] = None,
    older_than: Annotated[str | None, typer.Option("--older-than", help="Or of conversations before this: 365d, or 2025-01-31.")] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only show what would be erased.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Erase texts from traces, call log, evidence, entries and index; decisions and counts stay. Exit code 1 while a copy is left."""
    from strategist.cli.purge import run

    run(settings, customer=customer, older_than=older_than, dry=dry, yes=yes)


@app.command(short_help="Is the student coachable? Before a budget is spent.")
def probe(
    settings: SettingsFile = DEFAULT,
    moments: Annotated[int, typer.Option(min=3, max=500, help="Customers' first messages at which lines are tried.")] = 24,
    samples: Annotated[int, typer.Option(min=1, max=20, help="Replies per moment and arm.")] = 2,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Measure what right, nearly right and wrong lines do to the student, and say whether it is coachable."""
    from strategist.cli.probe import run

    run(settings, moments=moments, samples=samples, quiet=quiet)


@app.command(short_help="Compare arms on dev (or test) personas.")
def evaluate(
    settings: SettingsFile = DEFAULT,
    arms: Annotated[str, typer.Option(help="Comma-separated: bare, handbook, random, library, teacher.")] = "bare,handbook,random,library",
    seeds: Annotated[int, typer.Option(min=1, max=50, help="Evaluation seeds per persona.")] = 1,
    personas: Annotated[int | None, typer.Option(min=2, max=2_000, help="Personas; default: all of the split.")] = None,
    split: Annotated[str, typer.Option(help="dev, or test: every opening of test is counted and named in the report.")] = "dev",
    resume: Annotated[bool, typer.Option("--resume", help="With --split test: go on with the last opening, if it has not ended.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Compare arms on dev (or test) personas; stored with the last run and shown in its report."""
    from strategist.cli.evaluate import run

    run(settings, arms=arms, seeds=seeds, personas=personas, split=split, resume=resume, quiet=quiet)


@app.command(short_help="A library on another company or student.")
def transfer(
    file: Annotated[Path, typer.Argument(help="A library, as written by `strategist library export`.")],
    settings: SettingsFile = DEFAULT,
    domain_name: Annotated[str | None, typer.Option("--domain", help="Another domain than the settings'.")] = None,
    student: Annotated[str | None, typer.Option(help="Another student than the settings': a model's name, or a GGUF file.")] = None,
    source: Annotated[str | None, typer.Option(help="The domain it was learned in, if its name does not find it.")] = None,
    personas: Annotated[int | None, typer.Option(min=2, max=2_000, help="Personas; default: all of the split.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=50, help="Evaluation seeds per persona.")] = 1,
    split: Annotated[str, typer.Option(help="dev, or test: every opening of test is counted.")] = "dev",
    whole: Annotated[bool, typer.Option("--whole", help="Also play it with the lines that are held back, as a control.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Play a library on another company, another student or both: what it still gives, and which entries do not carry over."""
    from strategist.cli.transfer import run

    run(
        settings,
        file,
        domain=domain_name,
        student=student,
        source=source,
        personas=personas,
        seeds=seeds,
        split=split,
        whole=whole,
        quiet=quiet,
    )


@app.command(short_help="Write the run's report as one HTML page.")
def report(
    settings: SettingsFile = DEFAULT,
    run_id: Annotated[str | None, typer.Option("--run", help="Which run; default: the last one.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the page; default: beside the database.")] = None,
) -> None:
    """Write the run's report: one self-contained HTML page."""
    from strategist.cli.report import run

    run(settings, run_id=run_id, out=out)


@app.command("try", short_help="What a conversation retrieves, and the reply.")
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


@library.command("show", short_help="One entry, its evidence and history.")
def library_show(entry: Annotated[str, typer.Argument(help="Id of the entry.")], settings: SettingsFile = DEFAULT) -> None:
    """One entry with its evidence, replies and history."""
    from strategist.cli.library import show

    show(settings, entry)


@library.command("why", short_help="What an entry rests on, to the last pair.")
def library_why(
    entry: Annotated[str, typer.Argument(help="Id of the entry, newest version or id@version.")],
    settings: SettingsFile = DEFAULT,
    pairs: Annotated[int, typer.Option(min=0, max=1_000, help="Test pairs shown.")] = 12,
) -> None:
    """What an entry rests on: the moment it was written for, its test pair by pair, where its keys come from, every change."""
    from strategist.cli.why import why

    why(settings, entry, pairs=pairs)


@trace.command("list", short_help="One line per conversation.")
def trace_list(
    settings: SettingsFile = DEFAULT,
    run_id: Annotated[str | None, typer.Option("--run", help="Which run; default: the last one.")] = None,
    purpose: Annotated[str | None, typer.Option(help="generate, examine, ...")] = None,
    arm: Annotated[str | None, typer.Option(help="bare, library, ...")] = None,
    round_: Annotated[int | None, typer.Option("--round", min=1, help="Of one round.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed, missed their goal or broke a hard rule.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 40,
) -> None:
    """The conversations of a run, one line each."""
    from strategist.cli.trace import list_traces

    list_traces(settings, run_id=run_id, purpose=purpose, arm=arm, round_=round_, failed=failed, limit=limit)


@trace.command("show", short_help="One conversation, with its guidance.")
def trace_show(
    name: Annotated[str | None, typer.Argument(help="Its id, or how it begins; default: the newest.")] = None,
    settings: SettingsFile = DEFAULT,
    run_id: Annotated[str | None, typer.Option("--run", help="Which run; default: the last one.")] = None,
) -> None:
    """One conversation: what was said, what guided each turn and why, what checks say."""
    from strategist.cli.trace import show

    show(settings, name, run_id=run_id)


@trace.command("export", short_help="Logs for inspect_ai's viewer.")
def trace_export(
    folder: Annotated[Path, typer.Argument(help="Where to write the logs.")],
    settings: SettingsFile = DEFAULT,
    run_id: Annotated[str | None, typer.Option("--run", help="Which run; default: the last one.")] = None,
    purpose: Annotated[str | None, typer.Option(help="Only these: generate, examine, ...")] = None,
) -> None:
    """Write conversations and scores in inspect_ai's log format, a log per arm and round: `inspect view --log-dir FOLDER`."""
    from strategist.cli.trace import export

    export(settings, folder, run_id=run_id, purpose=purpose)


@library.command("search", short_help="What a customer's message retrieves.")
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


@library.command("retire", short_help="Take an entry out of use.")
def library_retire(
    entry: Annotated[str, typer.Argument(help="Id of the entry.")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why.")],
    settings: SettingsFile = DEFAULT,
) -> None:
    """Take an entry out of use: it is gone from the next prompt."""
    from strategist.cli.library import change_status

    change_status(settings, entry, "retire", reason)


@library.command("stale", short_help="What a new brief may have made wrong.")
def library_stale(settings: SettingsFile = DEFAULT) -> None:
    """Entries that were learned under another brief, those first that it most likely made wrong, and what changed in it."""
    from strategist.cli.stale import show

    show(settings)


@library.command("revalidate", short_help="Test stale entries again.")
def library_revalidate(
    entries: Annotated[
        list[str] | None, typer.Argument(help="Ids of entries, stale or not; default: those that the new brief touches.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every stale entry, touched or not.")] = False,
    settings: SettingsFile = DEFAULT,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Test stale entries again under the brief as it is now, at new customers. What does not pass leaves service."""
    from strategist.cli.stale import revalidate

    revalidate(settings, entries or [], every=every, quiet=quiet)


@library.command("export", short_help="Write the servable entries as a file.")
def library_export(
    out: Annotated[Path | None, typer.Argument(help="File to write; default: standard output.")] = None,
    settings: SettingsFile = DEFAULT,
) -> None:
    """Write the servable entries as canonical JSON lines with a content hash."""
    from strategist.cli.library import export

    export(settings, out)


@library.command("import", short_help="Add the entries of an exported file.")
def library_import(file: Annotated[Path, typer.Argument(help="A file written by export.")], settings: SettingsFile = DEFAULT) -> None:
    """Add the entries of an exported file; its hash is checked first."""
    from strategist.cli.library import import_file

    import_file(settings, file)


@library.command("verify", short_help="Compare the index with the database.")
def library_verify(settings: SettingsFile = DEFAULT) -> None:
    """Compare the index with the database; exit code 1 if they differ."""
    from strategist.cli.library import verify

    verify(settings)


@library.command("rebuild", short_help="Fill the index again from the database.")
def library_rebuild(settings: SettingsFile = DEFAULT) -> None:
    """Drop the index and fill it again from the database."""
    from strategist.cli.library import rebuild

    rebuild(settings)


@lab.command("list")
def lab_list() -> None:
    """The simulated worlds."""
    from strategist.cli.lab import list_worlds

    list_worlds()


@lab.command("serve", short_help="Serve the simulated models over HTTP.")
def lab_serve(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Loopback port.")] = 8099,
) -> None:
    """Serve the simulated models over HTTP like an OpenAI-compatible server."""
    from strategist.cli.lab import serve

    serve(port)


@app.command(short_help="Teach a student from nothing, see the report.")
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


@app.command("demo-worker", hidden=True)
def demo_worker(
    folder: Annotated[Path, typer.Argument(help="Folder of a prepared demo.")],
    seeds: Annotated[int, typer.Option(min=1, max=20)] = 3,
) -> None:
    """What `demo --real` runs in the background."""
    from strategist.cli.demo_real import work

    work(folder, seeds=seeds)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point of the console script: run the command and exit. Codes: 0, 1 it failed, 2 wrong input, 130 stopped."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # vectors here are small: more threads only wait for each other
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark
    try:
        app(args, prog_name="strategist")
    except StrategistError as error:
        _end(error)
    except OSError as error:  # typer has dealt with a closed pipe
        where = f"{error.filename}: " if error.filename else ""
        _end(StrategistError(f"{where}{error.strerror or error}", hint="everything written so far is kept"))
    except SystemExit as end:
        if end.code == RunInterruptedError.exit_code:  # typer's answer to Ctrl-C in a command that has no words of its own for it
            _end(RunInterruptedError("stopped"))
        raise


def _end(error: StrategistError) -> NoReturn:
    """Print what is wrong, where, and below it what to do, on standard error; then exit."""
    from rich.text import Text

    from strategist.cli.console import err

    stopped = isinstance(error, RunInterruptedError)
    err.print(Text.assemble(("" if stopped else "error: ", "bold red"), error.message))
    for line in error.hint.splitlines():
        err.print(Text(f"  {line}", style="dim"))
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
