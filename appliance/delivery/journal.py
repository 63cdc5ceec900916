"""What was done to this host and when, for whoever looks later: one line each, only ever added to."""

import os
from datetime import UTC, datetime

from appliance import VERSION
from appliance.host.layout import Layout
from appliance.model.moment import text_of


def record(layout: Layout, text: str) -> None:
    """Durable when it returns."""
    moment = text_of(datetime.now(UTC), "seconds")
    layout.journal.parent.mkdir(parents=True, exist_ok=True)
    with layout.journal.open("a", encoding="utf-8") as file:
        file.write(f"{moment} release {VERSION}: {' '.join(text.split())}\n")
        file.flush()
        os.fsync(file.fileno())
