"""The front desk's tools over its executable state.

State (plain day counts, no clocks): `bookings` by number, each with rate (`flexible` or `saver`), rooms, status (`booked`, `in_house`,
`left` or `cancelled`), last_name, days_to_arrival, arrival, free_dates (arrivals on which a room is free), moved, charge (`none` or
`first_night`), room_needed (on the day of departure) and late_checkout; `lost_property` (cases, description); `handover` (open, reason).

Every refusal follows a rule of the brief and says in plain words what is missing. Answers never speak of "the guest": small models pass
them on word by word. No tool returns a last name: it is only ever compared. A refused call changes nothing. There is no tool to look a
booking up: the agent's screen shows it.
"""

from __future__ import annotations

import re
from typing import cast

from strategist.domains.domain import Tool, ToolRefusal
from strategist.records.base import JsonObject
from strategist.records.chat import ToolSpec

FREE_UNTIL_DAYS = 2
GROUP_ROOMS = 5
DETAIL_WORDS = 3


def cancel_booking(state: JsonObject, arguments: JsonObject) -> str:
    """Cancel a flexible booking: free of charge until 2 days before arrival, later for the first night, if that is agreed (R10 to R12)."""
    number, booking = _changeable(state, arguments)
    late = cast(int, booking["days_to_arrival"]) < FREE_UNTIL_DAYS
    if late and arguments.get("charge_accepted") is not True:
        raise ToolRefusal(
            "Refused: less than 2 days before arrival the first night is charged. This has to be agreed to in the chat first."
        )
    booking["status"], booking["charge"] = "cancelled", "first_night" if late else "none"
    return f"Last name matches. {number} is cancelled; {'the first night is charged' if late else 'nothing is charged'}."


def change_dates(state: JsonObject, arguments: JsonObject) -> str:
    """Move a flexible booking, until 2 days before arrival, to a date on which a room is free (R10, R12, R13)."""
    wanted = _text(arguments, "new_arrival")
    number, booking = _changeable(state, arguments)
    if cast(int, booking["days_to_arrival"]) < FREE_UNTIL_DAYS:
        raise ToolRefusal("Refused: less than 2 days before arrival a booking cannot be moved. It can be cancelled for the first night.")
    free = cast(list[str], booking["free_dates"])
    date = next((date for date in free if _day(date) == _day(wanted)), None)
    if date is None:
        raise ToolRefusal(f"Refused: no room is free from {wanted}. Free arrivals: {', '.join(free) or 'none'}.")
    booking["arrival"], booking["moved"] = date, True
    return f"Last name matches. {number} now starts on {date}, at the price of the new dates."


def add_late_checkout(state: JsonObject, arguments: JsonObject) -> str:
    """Book departure until 2 pm for 25 euros, if the room is not needed and the fee is agreed (R19)."""
    number, booking = _booking(state, arguments)
    if booking["status"] == "left" or booking["status"] == "cancelled":
        raise ToolRefusal(f"Refused: {number} has ended.")
    if booking["room_needed"]:
        raise ToolRefusal("Refused: the room is needed, so it has to be left by 11 am. The luggage room keeps bags.")
    if booking["late_checkout"]:
        raise ToolRefusal(f"Late check-out is already booked for {number}, until 2 pm.")
    if arguments.get("fee_accepted") is not True:
        raise ToolRefusal("Refused: the fee of 25 euros has to be agreed to in the chat first.")
    booking["late_checkout"] = True
    return f"Late check-out booked for {number}: until 2 pm, 25 euros."


def open_lost_property_case(state: JsonObject, arguments: JsonObject) -> str:
    """Open a search for a lost thing whose look and place are known (R25)."""
    number, _ = _booking(state, arguments)
    description, found = _text(arguments, "description"), cast(JsonObject, state["lost_property"])
    if len(description.split()) < DETAIL_WORDS:
        raise ToolRefusal("Refused: the description has to say what it looks like and where it was left. Both have to be asked for.")
    if found["cases"] != 0:
        raise ToolRefusal(f"A lost property case is already open for {number}. The answer comes by e-mail within 2 days.")
    found["cases"], found["description"] = 1, description
    return f"Lost property case opened for {number}. The answer comes by e-mail within 2 days."


def hand_over_to_person(state: JsonObject, arguments: JsonObject) -> str:
    """Hand the conversation over to a person: the night porter at night, else a colleague (R14, R16, R24, R28 to R30)."""
    state["handover"] = {"open": True, "reason": _text(arguments, "reason")}
    return "Handed over: a colleague takes over at once; at night this is the night porter."


def _text(arguments: JsonObject, name: str) -> str:
    value = arguments.get(name)
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise ToolRefusal(f"Refused: {name} is missing.")
    return text


def _booking(state: JsonObject, arguments: JsonObject) -> tuple[str, JsonObject]:
    number = _text(arguments, "booking").upper().replace(" ", "")
    booking = cast(JsonObject, state.get("bookings", {})).get(number)
    if not isinstance(booking, dict):
        raise ToolRefusal(f"Refused: no booking {number}. Use the booking number on the screen.")
    return number, booking


def _changeable(state: JsonObject, arguments: JsonObject) -> tuple[str, JsonObject]:
    """A booking that may be moved or cancelled, after its last name was compared."""
    last_name = _text(arguments, "last_name")
    number, booking = _booking(state, arguments)
    if booking["status"] != "booked":
        raise ToolRefusal(f"Refused: {number} has begun, ended or been cancelled, so it cannot be changed any more.")
    if cast(int, booking["rooms"]) >= GROUP_ROOMS:
        raise ToolRefusal("Refused: bookings of 5 rooms or more are handed over to a person.")
    if booking["rate"] == "saver":
        raise ToolRefusal("Refused: a saver booking can be neither moved nor cancelled. Somebody else may use it.")
    if last_name.split()[-1].casefold() != str(booking["last_name"]).casefold():
        raise ToolRefusal("Refused: the last name does not match the booking. Nothing was changed.")
    return number, booking


def _day(text: str) -> tuple[str, ...]:
    """Day and month of a date in whatever order they were written; a year, a weekday and endings such as `th` are left out."""
    months = r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
    return tuple(sorted(re.findall(rf"\b\d{{1,2}}(?=\D|$)|\b(?:{months})", text.lower())))


def _spec(name: str, about: str, required: JsonObject) -> ToolSpec:
    parameters: JsonObject = {"type": "object", "properties": required, "required": list(required), "additionalProperties": False}
    return ToolSpec(name=name, description=about, parameters=parameters)


def _text_field(about: str = "") -> JsonObject:
    return {"type": "string", "description": about} if about else {"type": "string"}


def _yes_field(about: str) -> JsonObject:
    return {"type": "boolean", "description": about}


_BOOKING: JsonObject = {"booking": _text_field()}
_NAMED: JsonObject = {**_BOOKING, "last_name": _text_field("as written in the chat")}

TOOLS: tuple[Tool, ...] = (
    Tool(
        _spec(
            "cancel_booking",
            "Cancel a flexible booking, with the last name from the chat.",
            {**_NAMED, "charge_accepted": _yes_field("whether a charge of the first night was agreed to in the chat")},
        ),
        cancel_booking,
    ),
    Tool(
        _spec(
            "change_dates",
            "Move a flexible booking to another arrival date, with the last name from the chat.",
            {**_NAMED, "new_arrival": _text_field("day and month, such as 5 May")},
        ),
        change_dates,
    ),
    Tool(
        _spec(
            "add_late_checkout",
            "Book departure until 2 pm for 25 euros.",
            {**_BOOKING, "fee_accepted": _yes_field("whether the fee was agreed to in the chat")},
        ),
        add_late_checkout,
    ),
    Tool(
        _spec(
            "open_lost_property_case",
            "Search for a lost thing.",
            {**_BOOKING, "description": _text_field("what it looks like and where it was left")},
        ),
        open_lost_property_case,
    ),
    Tool(
        _spec(
            "hand_over_to_person",
            "Hand over to a person: noise at night, groups, money back, staff, emergencies.",
            {"reason": _text_field()},
        ),
        hand_over_to_person,
    ),
)
