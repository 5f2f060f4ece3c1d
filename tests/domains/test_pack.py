import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from strategist.domains import pack as pack_module
from strategist.domains.pack import builtin_packs, find_domain, load_domain, pack_hash, read_pack
from strategist.errors import DomainError
from strategist.records.chat import ToolCall

Edit = Callable[[str, str, str], None]


def test_a_pack_becomes_a_domain(bakery: Path) -> None:
    domain = load_domain(bakery)
    assert (domain.name, domain.title, domain.language, domain.reply_words) == ("bakery", "Crumb & Co.", "en", 60)
    assert domain.split_sizes == {"train": 12, "dev": 6, "test": 6}
    assert domain.issues == ("move", "allergy")
    assert [check.id for check in domain.checks] == ["no_nut_promise", "names_the_kitchen", "asks_for_the_name", "short"]
    assert [tool.spec.name for tool in domain.tools] == ["move_order"]
    assert domain.brief.startswith("# Crumb & Co.")
    assert domain.persona("dev-1-7") == domain.draw("dev", 1, 7)
    assert len(domain.personas("train")) == 12


def test_tools_and_state_are_optional(bakery: Path, edit: Edit) -> None:
    (bakery / "tools.py").unlink()
    (bakery / "state.json").write_text('{"shop": {"open": true}, "orders": {"B1": {}}}')
    domain = load_domain(bakery)
    assert domain.tools == ()
    state = domain.draw("train", 0, 0).state
    assert state["shop"] == {"open": True}
    orders = state["orders"]
    assert isinstance(orders, dict)
    assert len(orders) == 2


def test_the_hash_is_over_every_visible_file(bakery: Path, tmp_path: Path, edit: Edit) -> None:
    before = pack_hash(bakery)
    (bakery / "__pycache__").mkdir()
    (bakery / "__pycache__" / "x.pyc").write_bytes(b"1")
    (bakery / ".notes").write_text("hidden")
    (bakery / ".git").mkdir()
    (bakery / ".git" / "config").write_text("hidden")
    assert pack_hash(bakery) == before
    assert pack_hash(Path(shutil.copytree(bakery, tmp_path / "elsewhere"))) == before
    edit("brief.md", "R4. Say", "R4. Tell")
    assert pack_hash(bakery) != before
    (bakery / "extra.md").write_text("")
    renamed = pack_hash(bakery)
    (bakery / "extra.md").rename(bakery / "other.md")
    assert len({before, renamed, pack_hash(bakery)}) == 3


def test_an_edited_file_is_loaded_anew_and_an_unchanged_one_once(bakery: Path, edit: Edit) -> None:
    first = load_domain(bakery)
    assert load_domain(bakery).checks[0] is first.checks[0]
    edit("checks.py", "At most 60 words.", "Short.")
    again = load_domain(bakery)
    assert (first.checks[3].about, again.checks[3].about) == ("At most 60 words.", "Short.")
    modules = [name for name in sys.modules if name.startswith("strategist_pack_checks_")]
    assert len(modules) == len(set(modules)) >= 2


def test_tools_of_a_loaded_pack_run(bakery: Path) -> None:
    from strategist.domains.toolset import run_tool

    domain = load_domain(bakery)
    persona = domain.draw("train", 0, 0)
    order, name, day = persona.facts["order"], persona.name, persona.facts["day"]
    call = ToolCall(id="c", name="move_order", arguments=f'{{"order": "{order}", "name": "{name}", "day": "{day}"}}')
    text, after = run_tool(domain, persona.state, call)
    assert text == f"Order moved to {day}."
    assert after != persona.state
    refused, same = run_tool(domain, persona.state, call.model_copy(update={"arguments": call.arguments.replace(name, "Eve")}))
    assert refused == "There is no order with this number and name."
    assert same == persona.state


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("def short(", "def short(:", 36, "SyntaxError"),
        ('"""Checks of', 'import nothing_like_this\n"""Checks of', 1, "ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("len(view.reply.split()) <= 60", "True\n\n\ndef make() -> None:\n    raise OSError(1, 'x')\n\n\nmake()", 41, "PermissionError"),
        ("len(view.reply.split()) <= 60", "True\n\n\nraise SystemExit", 40, "SystemExit"),
    ],
)
def test_code_that_does_not_load_is_a_domain_error_with_its_line(
    bakery: Path, edit: Edit, old: str, new: str, line: int, message: str
) -> None:
    edit("checks.py", old, new)
    with pytest.raises(DomainError) as caught:
        load_domain(bakery)
    assert caught.value.message.startswith(f"{bakery / 'checks.py'}:{line}: {message}")


def test_an_unknown_placeholder_is_a_domain_error_with_line_and_template(bakery: Path, edit: Edit) -> None:
    edit("personas.jsonl", "Could {order} wait", "Could {oder} wait")
    with pytest.raises(DomainError, match=r"personas\.jsonl:3: template 'move-illness': \{oder\} is not a slot"):
        load_domain(bakery)


def test_many_faults_are_cut_short_and_point_to_the_check(bakery: Path) -> None:
    (bakery / "personas.jsonl").write_text("{\n" * 9)
    with pytest.raises(DomainError) as caught:
        load_domain(bakery)
    assert caught.value.message.endswith("... and 7 more")
    assert f"strategist domain check {bakery}" in caught.value.hint
    one = bakery / "no"
    with pytest.raises(DomainError, match="there is no such folder"):
        load_domain(one)


def test_a_pack_without_a_manifest_has_no_personas(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without a manifest"):
        _ = read_pack(tmp_path).deck


def test_a_file_that_cannot_be_hashed_is_a_domain_error(bakery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path / "extra"))

    monkeypatch.setattr(pack_module, "pack_hash", fail)
    with pytest.raises(DomainError, match="extra: cannot be read: Permission denied"):
        load_domain(bakery)


def test_packs_are_found_by_path_first_then_by_name(bakery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_domain("bakery", bakery.parent).name == "bakery"
    assert find_domain(str(bakery), Path("/nowhere")).name == "bakery"
    (bakery.parent / "sub").mkdir()
    assert find_domain("../bakery", bakery.parent / "sub").name == "bakery"
    monkeypatch.setattr(pack_module, "builtin_packs", lambda: {"cakes": bakery})
    assert find_domain("cakes", bakery.parent / "sub").name == "bakery"


def test_an_unknown_domain_says_what_was_meant(bakery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_module, "builtin_packs", lambda: {"parcel": bakery})
    with pytest.raises(DomainError, match="no domain `parsel`") as caught:
        find_domain("parsel", bakery.parent)
    assert caught.value.hint.startswith("did you mean `parcel`?")
    with pytest.raises(DomainError) as caught:
        find_domain("bakry", bakery.parent)
    assert caught.value.hint.startswith("did you mean `bakery`?")
    with pytest.raises(DomainError) as caught:
        find_domain("", bakery.parent)
    assert caught.value.hint.startswith("built in: parcel")


def test_builtin_packs_are_the_packaged_ones_or_else_the_repositorys(tmp_path: Path, bakery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "strategist"
    (package / "domains").mkdir(parents=True)
    monkeypatch.setattr(pack_module, "__file__", str(package / "domains" / "pack.py"))
    assert builtin_packs() == {}
    repository = Path(shutil.copytree(bakery, tmp_path / "site" / "scenarios" / "bakery"))
    assert builtin_packs() == {"bakery": repository}
    packaged = Path(shutil.copytree(bakery, package / "scenarios" / "cakes"))
    assert builtin_packs() == {"cakes": packaged}
