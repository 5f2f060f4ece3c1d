"""The parcel desk's tools over its executable state.

State (plain day counts, no clocks): `shipments` by tracking number, each with status, postcode, days_late (working days past the expected
day), days_since_delivery, signature_required, trace and claim (`none` or `open`), claim_kind, redirected, new_address, safe_place_set,
safe_place, pickup_days_left; `reports.phishing`; `handover` (open, reason).

Every refusal follows a rule of the brief and says in plain words what is missing. Answers never speak of "the customer": small models pass
them on word by word. No tool returns an address, a name or a postcode: a postcode is only ever compared. A refused call changes nothing.
There is no tool to look a parcel up: the agent's screen shows the record.
"""

from __future__ import annotations

import re
from typing import cast

from strategist.domains.domain import Tool, ToolRefusal
from strategist.records.base import JsonObject
from strategist.records.chat import ToolSpec

LATE_AFTER_DAYS = 3
CLAIM_DAYS = 14
PICKUP_DAYS = 7
STATUS_WORDS = {
    "in_transit": "on its way, not yet out for delivery",
    "out_for_delivery": "out for delivery",
    "missed": "one delivery attempt, nobody met, back at the depot",
    "at_pickup_point": "waiting at a pick-up point",
    "delivered": "delivered",
    "customs_hold": "held by customs until the fee is paid",
    "returning": "on its way back to the sender",
}


def open_trace(state: JsonObject, arguments: JsonObject) -> str:
    """Open a trace for a late parcel, or for a delivered one that is missing or whose signature is disputed (R10 to R12, R14)."""
    tracking, shipment = _shipment(state, arguments)
    if shipment["trace"] == "open":
        raise ToolRefusal(f"A trace is already open for {tracking}. The result comes by e-mail within 5 working days of its opening.")
    if shipment["status"] != "delivered" and cast(int, shipment["days_late"]) < LATE_AFTER_DAYS:
        raise ToolRefusal("Refused: a trace can be opened only when a parcel is 3 or more working days past its expected day.")
    shipment["trace"] = "open"
    return f"Trace opened for {tracking}. The result comes by e-mail within 5 working days."


def open_claim(state: JsonObject, arguments: JsonObject) -> str:
    """Open a claim for damage or missing contents: photos received, at most 14 days after delivery (R18, R19)."""
    tracking, shipment = _shipment(state, arguments)
    kind = _text(arguments, "kind")
    if kind not in ("damage", "missing_contents"):
        raise ToolRefusal("Refused: kind must be damage or missing_contents.")
    if shipment["status"] != "delivered":
        raise ToolRefusal("Refused: a claim needs a delivered parcel.")
    if cast(int, shipment["days_since_delivery"]) > CLAIM_DAYS:
        raise ToolRefusal("Refused: claims are possible only within 14 days of delivery.")
    if arguments.get("photos_received") is not True:
        raise ToolRefusal("Refused: photos of the parcel, the packing and the item are needed first.")
    if shipment["claim"] == "open":
        raise ToolRefusal(f"A claim is already open for {tracking}.")
    shipment["claim"], shipment["claim_kind"] = "open", kind
    return f"Claim opened for {tracking}. It is checked within 10 working days; item and packing have to be kept until then."


def redirect_parcel(state: JsonObject, arguments: JsonObject) -> str:
    """Send a parcel to another address before it is out for delivery, after the postcode matched (R21, R22)."""
    tracking, shipment = _shipment(state, arguments)
    address = _text(arguments, "new_address")
    _require_changeable(shipment, arguments, ("in_transit",))
    shipment["redirected"], shipment["new_address"] = True, address
    return f"Postcode matches. {tracking} is redirected to the new address."


def hold_at_pickup_point(state: JsonObject, arguments: JsonObject) -> str:
    """Send a parcel to the nearest pick-up point, kept for 7 days (R21, R22, R24, R25)."""
    tracking, shipment = _shipment(state, arguments)
    _require_changeable(shipment, arguments, ("in_transit", "missed"))
    shipment["status"], shipment["pickup_days_left"] = "at_pickup_point", PICKUP_DAYS
    return f"Postcode matches. {tracking} goes to the pick-up point and is kept there for 7 days; an identity document is needed."


def set_safe_place(state: JsonObject, arguments: JsonObject) -> str:
    """Note a safe place the recipient wished for, unless a signature is needed (R21 to R23)."""
    tracking, shipment = _shipment(state, arguments)
    place = _text(arguments, "place")
    if shipment["signature_required"]:
        raise ToolRefusal("Refused: this parcel needs a signature, so a safe place is not possible. A pick-up point is.")
    _require_changeable(shipment, arguments, ("in_transit", "missed"))
    shipment["safe_place_set"], shipment["safe_place"] = True, place
    return f"Postcode matches. Safe place noted for {tracking}."


def report_phishing(state: JsonObject, arguments: JsonObject) -> str:
    """Report a suspicious message to the security team (R30)."""
    _text(arguments, "description")
    reports = cast(JsonObject, state["reports"])
    reports["phishing"] = cast(int, reports["phishing"]) + 1
    return "Reported to the security team. No link should be opened and nothing paid."


def send_to_human(state: JsonObject, arguments: JsonObject) -> str:
    """Hand the conversation over to a person (R31, R32)."""
    state["handover"] = {"open": True, "reason": _text(arguments, "reason")}
    return "Handed over: a colleague takes this conversation over in this chat."


def _text(arguments: JsonObject, name: str) -> str:
    value = arguments.get(name)
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text:
        raise ToolRefusal(f"Refused: {name} is missing.")
    return text


def _shipment(state: JsonObject, arguments: JsonObject) -> tuple[str, JsonObject]:
    tracking = _text(arguments, "tracking").upper().replace(" ", "")
    shipment = cast(JsonObject, state["shipments"]).get(tracking)
    if not isinstance(shipment, dict):
        raise ToolRefusal(f"Refused: no shipment {tracking}. Use the tracking number on the screen.")
    return tracking, shipment


def _require_changeable(shipment: JsonObject, arguments: JsonObject, allowed: tuple[str, ...]) -> None:
    postcode = _text(arguments, "postcode").replace(" ", "")
    if shipment["status"] not in allowed:
        raise ToolRefusal(f"Refused: the parcel is {STATUS_WORDS[str(shipment['status'])]}, so the delivery can no longer be changed.")
    if not re.fullmatch(r"\d{5}", postcode):
        raise ToolRefusal("Refused: a postcode has five digits. It has to be asked for in the chat. Nothing was changed.")
    if postcode != shipment["postcode"]:
        raise ToolRefusal("Refused: the postcode does not match the parcel. Nothing was changed.")


def _spec(name: str, about: str, required: JsonObject) -> ToolSpec:
    parameters: JsonObject = {"type": "object", "properties": required, "required": list(required), "additionalProperties": False}
    return ToolSpec(name=name, description=about, parameters=parameters)


def _text_field(about: str = "") -> JsonObject:
    return {"type": "string", "description": about} if about else {"type": "string"}


_TRACKING: JsonObject = {"tracking": _text_field()}
_CHANGE: JsonObject = {**_TRACKING, "postcode": _text_field("five digits, as written in the chat")}
_CLAIM: JsonObject = {
    **_TRACKING,
    "kind": {"type": "string", "enum": ["damage", "missing_contents"]},
    "photos_received": {"type": "boolean"},
}

TOOLS: tuple[Tool, ...] = (
    Tool(_spec("open_trace", "For a late or missing parcel or a disputed signature.", _TRACKING), open_trace),
    Tool(_spec("open_claim", "For damage or missing contents, once there are photos.", _CLAIM), open_claim),
    Tool(
        _spec(
            "redirect_parcel",
            "Send a parcel to another address, with the postcode from the chat.",
            {**_CHANGE, "new_address": _text_field()},
        ),
        redirect_parcel,
    ),
    Tool(
        _spec("hold_at_pickup_point", "Send a parcel to the pick-up point, with the postcode from the chat.", _CHANGE), hold_at_pickup_point
    ),
    Tool(
        _spec("set_safe_place", "Note a safe place, with the postcode from the chat.", {**_CHANGE, "place": _text_field()}), set_safe_place
    ),
    Tool(
        _spec("report_phishing", "Report a text message or e-mail that looks like fraud.", {"description": _text_field()}), report_phishing
    ),
    Tool(
        _spec("send_to_human", "Hand over to a person: drivers, threats, danger, business contracts.", {"reason": _text_field()}),
        send_to_human,
    ),
)
