"""How full the store is and what is wrong with it, as this manager's last look found it."""

from appliance.api.rows import Row
from appliance.store.caretaker import Caretaker


def store_row(caretaker: Caretaker) -> Row:
    """Bytes of the largest member, None before the first look, and every complaint with what to do."""
    state = caretaker.state
    members = state.members if state else ()
    return {
        "size": max((member.size for member in members), default=None),
        "in_use": max((member.in_use for member in members), default=None),
        "quota": caretaker.quota,
        "complaints": [{"what": each.what, "next": each.next} for each in caretaker.complaints],
    }
