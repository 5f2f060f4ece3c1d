from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from strategist.errors import StoreError
from strategist.evaluation import wording
from strategist.evaluation.numbers import count, money
from strategist.evaluation.report import render_report, write_report
from strategist.evaluation.report_data import EntryLine, FailureLine, ReportData, warnings_of
from strategist.records.evidence import JudgedBy
from strategist.records.library import Key, Refusal, Status, Strategy
from strategist.records.run import Overrun
from strategist.stats import Estimate

EVIL = "</blockquote><script>alert('x')</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}"
VOID = {"meta", "br", "input", "link", "img"}


class Page(HTMLParser):
    """Tags with attributes, and the text; fails on tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(made_up: ReportData) -> str:
    return render_report(made_up)


def test_the_page_is_whole_and_the_same_every_time(made_up: ReportData, page: str) -> None:
    parsed = Page(page)
    assert render_report(made_up) == page
    assert [attributes.get("lang") for attributes in parsed.all("html")] == ["en"]
    assert len(parsed.all("h1")) == 1
    anchors = {str(a["href"])[1:] for a in parsed.all("a")}
    ids = [str(attributes["id"]) for _, attributes in parsed.tags if "id" in attributes]
    assert anchors <= set(ids)
    assert len(ids) == len(set(ids))


def test_every_figure_and_table_can_be_read_without_seeing(page: str) -> None:
    parsed = Page(page)
    assert len(parsed.all("svg")) == 10
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in parsed.all("svg"))
    assert len(parsed.all("table")) >= 10
    assert all(head.get("scope") in ("col", "row", "rowgroup") for head in parsed.all("th"))
    assert all(part.get("aria-label") for part in parsed.all("div") if part.get("role") == "region")


def test_the_page_loads_nothing_and_allows_no_script_but_its_own(page: str) -> None:
    parsed = Page(page)
    for _, attributes in parsed.tags:
        assert not {"src", "srcset", "data", "action", "poster"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
    assert all(str(a["href"]).startswith("#") for a in parsed.all("a"))
    assert not re.search(r"url\(|@import|//[a-z]", page.replace("http://www.w3.org/2000/svg", ""))
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == 1
    expected = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = next(meta["content"] for meta in parsed.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert f"script-src 'sha256-{expected}'" in policy
    assert "default-src 'none'" in policy


def test_all_texts_of_others_are_escaped(made_up: ReportData, page: str) -> None:
    entry = made_up.entries[0].entry.model_copy(
        update={
            "strategies": (Strategy(text=EVIL, rules=(EVIL,)),),
            "keys": (Key(scenario="s", persona="p", issue=EVIL, text=EVIL),) * 2,
            "why": EVIL,
            "reply_before": EVIL,
            "reply_after": EVIL,
            "reply_teacher": EVIL,
            "student": EVIL,
        }
    )
    refusal = Refusal(candidate="c", round=0, index=0, stage="lint", reason=EVIL, strategies=(Strategy(text=EVIL),), issue=EVIL)
    evil = made_up.model_copy(
        update={
            "title": EVIL,
            "command": EVIL,
            "run": made_up.run.model_copy(update={"id": EVIL, "student": EVIL}),
            "entries": (EntryLine(entry=entry, customer=EVIL),),
            "refusals": (refusal,),
            "failures": (FailureLine(kind="model", purpose="examine", conversations=1, example=EVIL),),
            "warnings": (EVIL,),
            "issues": tuple(issue.model_copy(update={"issue": EVIL}) for issue in made_up.issues),
            "checks": tuple(check.model_copy(update={"check": EVIL}) for check in made_up.checks),
        }
    )
    text = render_report(evil)
    parsed = Page(text)
    assert text.count("<script>") == 1
    assert "<img" not in text
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    assert "".join(parsed.text).count("alert('x')") > 15
    assert {tag for tag, _ in parsed.tags} <= {tag for tag, _ in Page(page).tags} | {"em"}


def test_simulated_models_are_named_as_such_at_top_and_bottom(made_up: ReportData, page: str) -> None:
    sentence = "These models are simulated: figures say nothing of real ones"
    assert page.count(sentence) == 2
    assert sentence not in render_report(made_up.model_copy(update={"simulated": False}))


def test_the_result_stands_on_top_with_interval_n_and_seeds(made_up: ReportData, page: str) -> None:
    found = made_up.headline
    assert found is not None
    assert found.lift is not None
    shown = " ".join("".join(Page(page).text).split())
    low, high = f"{found.lift.low:+.2f}", f"{found.lift.high:+.2f}"
    assert f"{found.lift.mean:+.2f}, 95 % interval [{low}, {high}], n = 40 customers, 3 seeds." in shown
    assert found.line in shown
    assert "Passed every time in both arms: polite." in shown
    assert "The headline rests on the study below (n = 40 dev customers, 3 seeds)." in shown
    assert "It has been opened once so far." in shown


def test_a_run_that_has_only_begun_says_so_in_plain_sentences(nothing_yet: ReportData) -> None:
    text = render_report(nothing_yet)
    shown = "".join(Page(text).text)
    assert "Nothing has been measured yet" in shown
    assert "No round has been finished yet." in shown
    assert "The library is empty: nothing has been admitted." in shown
    assert "Nothing was refused." in shown
    assert "It has not been opened." in shown
    assert "<svg" not in text
    assert 'href="#arms"' not in text


def test_half_filled_data_render(made_up: ReportData, nothing_yet: ReportData) -> None:
    """Rounds without outcomes, entries without evidence, keys or lines, a refusal without lines."""
    line = made_up.rounds[0]
    bare = line.model_copy(
        update={"summary": line.summary.model_copy(update={"floor": None}), "lift": line.lift.model_copy(update={"lift": None})}
    )
    untested = made_up.entries[0].entry.model_copy(update={"evidence": None, "keys": (), "strategies": (), "reply_after": ""})
    general = made_up.entries[1].entry.model_copy(update={"scope": "general"})
    refusal = Refusal(candidate="c", round=0, index=0, stage="coach", reason="nothing better was found", strategies=())
    data = nothing_yet.model_copy(
        update={
            "rounds": (bare,),
            "headline": bare.lift,
            "entries": (EntryLine(entry=untested, customer=""), EntryLine(entry=general, customer="Hello?")),
            "refusals": (refusal,),
            "openings": 2,
        }
    )
    shown = "".join(Page(render_report(data)).text)
    for sentence in (
        "Too few conversations",
        "Nothing is needed here",
        "No key",
        "Wherever no other entry matches",
        "None for this text.",
        "opened 2 times",
    ):
        assert sentence in shown


def test_headlines_claim_no_more_than_their_interval(made_up: ReportData) -> None:
    def said(lift: Estimate) -> str:
        assert made_up.headline is not None
        return wording.headline(made_up.model_copy(update={"headline": made_up.headline.model_copy(update={"lift": lift})}))

    assert said(Estimate(0.18, 0.11, 0.25, 9)) == "The library raises the student\u2019s score by 0.18"
    assert said(Estimate(-0.18, -0.25, -0.11, 9)) == "The library lowers the student\u2019s score by 0.18"
    assert said(Estimate(0.03, -0.02, 0.08, 9)) == "No clear effect of the library: +0.03"
    empty = made_up.model_copy(update={"entries": ()})
    assert wording.headline(empty) == "No strategy passed the test: the library is empty"
    assert [wording.verdict(e) for e in (None, Estimate(1, 0.5, 2, 3), Estimate(-1, -2, -0.5, 3), Estimate(0, -1, 1, 3))] == [
        "too few customers",
        "higher",
        "lower",
        "no clear difference",
    ]


def test_reasons_of_the_gate_are_words_and_others_stay_as_they_are() -> None:
    assert wording.reason_text("not_significant") == wording.reason_text("not significant") == "the difference may be chance"
    assert wording.reason_text("promises a date") == "promises a date"


def test_key_figures_add_up(made_up: ReportData) -> None:
    entries, refused, replies, spent = wording.cards(made_up)
    assert (entries.value, entries.note) == ("8", "of 33 candidates in 3 rounds")
    assert (refused.value, refused.note) == ("14", "most often: fell behind at a look before the end of the test")
    assert replies.value == "1\u2009389"
    assert (spent.value, spent.note) == ("$0.31", "2\u2009396\u2009100 tokens")
    many = made_up.model_copy(update={"entries": made_up.entries * 4})
    assert wording.trial(made_up.entries[0].entry).startswith(
        "Of 13 moments it was not written for: better at 9, the same at 4, worse at 0; p <"
    )
    assert "The 24 entries with the smallest q of 36." in wording.evidence_caption(many)


def test_what_was_billed_beyond_the_bounds_stands_with_the_cost(made_up: ReportData) -> None:
    assert "billed beyond" not in render_report(made_up)
    for over in (Overrun(tokens=1_200, usd=0.5), Overrun(tokens=1_200), Overrun(usd=0.5)):
        page = render_report(made_up.model_copy(update={"overrun": over}))
        assert f"{count(over.tokens)} of these tokens and {money(over.usd)} of the cost were billed beyond" in page


def test_writing_is_whole_or_not_at_all(nothing_yet: ReportData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "report.html"
    write_report(nothing_yet, path)
    assert path.read_text(encoding="utf-8") == render_report(nothing_yet)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreError, match="No space left on device"):
        write_report(nothing_yet.model_copy(update={"title": "Other"}), path)
    assert "Other" not in path.read_text(encoding="utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_a_folder_that_cannot_be_made_is_one_clear_error(nothing_yet: ReportData, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write the report"):
        write_report(nothing_yet, tmp_path / "file" / "report.html")


def test_entries_that_rest_on_a_judge_say_so_and_the_page_warns(made_up: ReportData) -> None:
    def page_of(*judged: JudgedBy | None, status: Status = "admitted") -> tuple[ReportData, str]:
        lines = []
        for line, one in zip(made_up.entries, judged, strict=False):
            assert line.entry.evidence is not None
            evidence = line.entry.evidence.model_copy(update={"judged": one})
            lines.append(EntryLine(entry=line.entry.model_copy(update={"evidence": evidence, "status": status}), customer=line.customer))
        data = made_up.model_copy(update={"entries": tuple(lines)})
        data = data.model_copy(update={"warnings": warnings_of(data, "b0")})
        return data, " ".join("".join(Page(render_report(data)).text).split())

    unchecked = JudgedBy(judge=f"openai:{EVIL}", se=0.2, decided=0.7)
    known = JudgedBy(judge="openai:judge", labels=50, bias=0.031, se=0.05, decided=0.7)
    data, text = page_of(unchecked, known, None)
    assert text.count("Admitted by the judge alone: openai:judge, checked on 50 labelled pairs, lean +0.03.") == 1
    assert text.count("Decided by the judge alone: openai:judge, checked on 50") == 1
    assert text.count(f"Admitted by the judge alone: openai:{EVIL}, checked by nobody.") == 1
    (warning,) = [one for one in data.warnings if "judge" in one]
    assert warning.startswith("2 of 3 entries in use rest on a judge's word alone")
    assert "Nobody had checked that judge for 1 of them" in warning
    assert not any("Nobody had checked" in one for one in page_of(known)[0].warnings)
    assert not any("judge" in one for one in page_of(None)[0].warnings)
    assert not any("judge" in one for one in page_of(unchecked, status="retired")[0].warnings)
