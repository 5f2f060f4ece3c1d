"""The report: one HTML page that stands alone, from `ReportData`.

Owns layout; figures come from the data, sentences from `wording`. Customers' texts, replies and lines are data: the template escapes all of
them, and the page's own policy forbids every script but the one it carries, and everything from elsewhere. Equal data give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from strategist.errors import StoreError
from strategist.evaluation import plots, wording
from strategist.evaluation.numbers import count, counted, interval, money, p_value, plain, signed
from strategist.evaluation.report_data import ReportData

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


class Drawing(NamedTuple):
    """A chart in both widths."""

    wide: Markup
    narrow: Markup


def write_report(data: ReportData, path: Path) -> None:
    """Write the page: whole or not at all. Raises StoreError naming the file if it cannot be written."""
    text = render_report(data)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    except OSError as error:
        raise StoreError(f"cannot write the report to {path}: {error.strerror}", hint="choose another file with --out") from error


def render_report(data: ReportData) -> str:
    """The page as text."""
    page = _environment().get_template("report.html.j2")
    style, script = _asset("report.css"), _asset("report.js")
    return page.render(
        data=data,
        measured=bool(data.arms),
        css=_trusted(style),
        script=_trusted(script),
        script_hash=_trusted(base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()),
        headline=wording.headline(data),
        standfirst=wording.standfirst(data),
        cards=wording.cards(data),
        figures=_figures(data),
        arm_labels=plots.ARM_LABEL,
        about={about.check: about for about in data.about},
        size_note=wording.size_note(data),
        rounds_caption=wording.rounds_caption(data),
        issues_caption=f"Lift with 95 % intervals over customers. A hollow dot is one customer, no interval. {wording.size_note(data)}",
        evidence_caption=wording.evidence_caption(data),
        steady=[check.check for check in data.checks if wording.is_steady(check)],
        openings=wording.openings(data),
        reasons=wording.refusal_reasons(data.refusals),
        total=wording.total_cost(data.costs),
        facts=wording.facts(data),
        commands=wording.commands(data),
    )


def _figures(data: ReportData) -> dict[str, Drawing]:
    found: dict[str, Drawing] = {}
    lifts = [line.lift for line in data.rounds]
    telling = [check for check in data.checks if not wording.is_steady(check)]
    telling.sort(key=lambda check: (not check.hard, -(check.lift.mean if check.lift else 0.0), check.check))
    issues = sorted(data.issues, key=lambda issue: (issue.base_mean - issue.arm_mean, issue.issue))
    tested = [line.entry for line in data.entries if wording.was_tested(line.entry)][: wording.MOST_BARS]
    if any(comparison.lift for comparison in lifts):
        found["rounds"] = Drawing(*(_trusted(plots.lift_per_round(lifts, width)) for width in (plots.WIDE, plots.NARROW)))
    if data.arms:
        found["arms"] = Drawing(*(_trusted(plots.arms(data.arms, width)) for width in (plots.WIDE, plots.NARROW)))
    if telling:
        found["checks"] = Drawing(*(_trusted(plots.checks(telling, width)) for width in (plots.WIDE, plots.NARROW)))
    if issues:
        found["issues"] = Drawing(*(_trusted(plots.issues(issues, width)) for width in (plots.WIDE, plots.NARROW)))
    if tested:
        found["evidence"] = Drawing(*(_trusted(plots.evidence(tested, width)) for width in (plots.WIDE, plots.NARROW)))
    return found


def _replace(path: Path, text: str) -> None:
    """Write beside the target, then rename over it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("strategist.evaluation")
    environment = Environment(autoescape=True, loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        plain=plain,
        signed=signed,
        interval=interval,
        count=count,
        counted=counted,
        money=money,
        p_value=p_value,
        verdict=wording.verdict,
        trial=wording.trial,
        excerpt=wording.excerpt,
        moment=wording.moment,
        reason=wording.reason_text,
    )
    return environment


def _asset(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def _trusted(text: str) -> Markup:
    """Text of our own making that must not be escaped."""
    from markupsafe import Markup

    return Markup(text)
