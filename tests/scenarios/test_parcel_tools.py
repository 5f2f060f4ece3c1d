"""The parcel desk's tools: what they do to the state, what they refuse, what they never tell."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategist.domains.grading import lookup
from strategist.domains.pack import builtin_packs, load_domain
from strategist.domains.toolset import run_tool
from strategist.records.base import JsonObject
from strategist.records.chat import ToolCall

DOMAIN = load_domain(builtin_packs()["parcel"])
NAMES = tuple(tool.spec.name for tool in DOMAIN.tools)
PARCEL = "SL123456"
POSTCODE = "41234"


def state(**changes: str | int | bool) -> JsonObject:
    shipment: JsonObject = {
        "status": "in_transit",
        "postcode": POSTCODE,
        "days_late": 0,
        "days_since_delivery": 0,
        "signature_required": False,
        "trace": "none",
        "claim": "none",
        "claim_kind": "",
        "redirected": False,
        "new_address": "",
        "safe_place_set": False,
        "safe_place": "",
        "pickup_days_left": 0,
        **changes,
    }
    return {"shipments": {PARCEL: shipment}, "reports": {"phishing": 0}, "handover": {"open": False, "reason": ""}}


def use(before: JsonObject, tool: str, **arguments: str | int | bool) -> tuple[str, JsonObject]:
    return run_tool(DOMAIN, before, ToolCall(id="c", name=tool, arguments=json.dumps(arguments)))


CHANGE = {"tracking": PARCEL, "postcode": POSTCODE}


@pytest.mark.parametrize(
    ("before", "tool", "arguments", "path", "value", "answer"),
    [
        (state(days_late=3), "open_trace", {"tracking": PARCEL}, f"shipments.{PARCEL}.trace", "open", "5 working days"),
        (state(days_late=3), "open_trace", {"tracking": "sl 123456"}, f"shipments.{PARCEL}.trace", "open", PARCEL),
        (state(status="delivered"), "open_trace", {"tracking": PARCEL}, f"shipments.{PARCEL}.trace", "open", "e-mail"),
        (
            state(status="delivered", days_since_delivery=14),
            "open_claim",
            {"tracking": PARCEL, "kind": "damage", "photos_received": True},
            f"shipments.{PARCEL}.claim_kind",
            "damage",
            "10 working days",
        ),
        (state(), "redirect_parcel", {**CHANGE, "new_address": "Mill 2"}, f"shipments.{PARCEL}.new_address", "Mill 2", "redirected"),
        (state(status="missed"), "hold_at_pickup_point", CHANGE, f"shipments.{PARCEL}.status", "at_pickup_point", "7 days"),
        (state(), "hold_at_pickup_point", CHANGE, f"shipments.{PARCEL}.pickup_days_left", 7, "pick-up point"),
        (state(), "set_safe_place", {**CHANGE, "place": "shed"}, f"shipments.{PARCEL}.safe_place", "shed", "noted"),
        (state(), "report_phishing", {"description": "text"}, "reports.phishing", 1, "No link"),
        (state(), "send_to_human", {"reason": "driver"}, "handover.reason", "driver", "colleague"),
    ],
)
def test_a_tool_changes_the_state(
    before: JsonObject, tool: str, arguments: dict[str, str | bool], path: str, value: str | int, answer: str
) -> None:
    text, after = use(before, tool, **arguments)
    assert lookup(after, path) == value
    assert answer in text
    assert lookup(before, path) != value


@pytest.mark.parametrize(
    ("before", "tool", "arguments", "why"),
    [
        (state(days_late=2), "open_trace", {"tracking": PARCEL}, "3 or more working days"),
        (state(days_late=5, trace="open"), "open_trace", {"tracking": PARCEL}, "already open"),
        (state(days_late=5), "open_trace", {"tracking": "SL000000"}, "no shipment SL000000"),
        (state(days_late=5), "open_trace", {"tracking": " "}, "tracking is missing"),
        (state(), "open_claim", {"tracking": PARCEL, "kind": "damage", "photos_received": True}, "delivered"),
        (state(status="delivered"), "open_claim", {"tracking": PARCEL, "kind": "damage", "photos_received": False}, "photos"),
        (
            state(status="delivered", days_since_delivery=15),
            "open_claim",
            {"tracking": PARCEL, "kind": "damage", "photos_received": True},
            "14 days",
        ),
        (
            state(status="delivered", claim="open"),
            "open_claim",
            {"tracking": PARCEL, "kind": "missing_contents", "photos_received": True},
            "already open",
        ),
        (state(), "redirect_parcel", {"tracking": PARCEL, "postcode": "99999", "new_address": "x"}, "does not match"),
        (state(), "redirect_parcel", {"tracking": PARCEL, "postcode": "", "new_address": "x"}, "postcode is missing"),
        (state(), "redirect_parcel", {"tracking": PARCEL, "postcode": "Ashford", "new_address": "x"}, "five digits"),
        (state(), "redirect_parcel", {**CHANGE, "new_address": ""}, "new_address is missing"),
        (state(status="out_for_delivery"), "redirect_parcel", {**CHANGE, "new_address": "x"}, "out for delivery"),
        (state(status="missed"), "redirect_parcel", {**CHANGE, "new_address": "x"}, "no longer"),
        (state(status="delivered"), "hold_at_pickup_point", CHANGE, "delivered"),
        (state(status="out_for_delivery"), "hold_at_pickup_point", CHANGE, "out for delivery"),
        (state(signature_required=True), "set_safe_place", {**CHANGE, "place": "shed"}, "signature"),
        (state(), "set_safe_place", {"tracking": PARCEL, "postcode": "40000", "place": "shed"}, "does not match"),
        (state(), "report_phishing", {"description": ""}, "description is missing"),
    ],
)
def test_a_refusal_says_why_and_changes_nothing(before: JsonObject, tool: str, arguments: dict[str, str | bool], why: str) -> None:
    text, after = use(before, tool, **arguments)
    assert why in text
    assert not text.startswith("error:")
    assert after == before


def test_an_unknown_kind_of_claim_is_refused_by_the_tool_itself() -> None:
    tool = next(tool for tool in DOMAIN.tools if tool.spec.name == "open_claim")
    with pytest.raises(Exception, match="kind must be"):
        tool.run(state(status="delivered"), {"tracking": PARCEL, "kind": "other", "photos_received": True})


VALUES = st.one_of(st.sampled_from([PARCEL, POSTCODE, "", "damage", "x"]), st.booleans(), st.integers(), st.none(), st.lists(st.text()))
STATES = st.sampled_from([state(), state(days_late=4), state(status="delivered"), state(status="out_for_delivery"), state(status="missed")])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), STATES, st.data())
def test_no_arguments_break_a_tool_or_bring_a_postcode_out(name: str, before: JsonObject, data: st.DataObject) -> None:
    tool = next(tool for tool in DOMAIN.tools if tool.spec.name == name)
    properties = tool.spec.parameters["properties"]
    assert isinstance(properties, dict)
    arguments = {key: data.draw(VALUES.filter(lambda value: value != POSTCODE) if key == "tracking" else VALUES) for key in properties}
    text, after = run_tool(DOMAIN, before, ToolCall(id="c", name=name, arguments=json.dumps(arguments)))
    assert "failed (" not in text
    assert "customer" not in text
    assert POSTCODE not in text
    assert lookup(after, f"shipments.{PARCEL}.postcode") == POSTCODE
    if text.startswith(("error:", "Refused")):
        assert after == before
