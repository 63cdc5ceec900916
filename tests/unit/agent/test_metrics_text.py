"""One number out of Prometheus' text format."""

import pytest

from appliance.agent.metrics_text import sum_of

TEXT = """# HELP jobs_waiting Jobs that wait.
# TYPE jobs_waiting gauge
jobs_waiting{queue="mail",host="a"} 3
jobs_waiting{queue="mail",host="b"} 4.5 1395066363000
jobs_waiting{queue="print \\"x\\", y"} 1e2
up 1
"""


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("up", 1.0),
        ("jobs_waiting", 107.5),
        ('jobs_waiting{queue="mail"}', 7.5),
        ('jobs_waiting{host="b", queue="mail"}', 4.5),
        ('jobs_waiting{queue="print \\"x\\", y"}', 100.0),
        ("jobs", None),
        ('jobs_waiting{queue="none"}', None),
    ],
)
def test_samples_that_match_are_summed(query: str, value: float | None) -> None:
    assert sum_of(TEXT, query) == value


@pytest.mark.parametrize("query", ["", "two words", "name{", "name{a=b}", "sum(up)"])
def test_what_is_no_query_is_refused(query: str) -> None:
    with pytest.raises(ValueError):
        sum_of(TEXT, query)
