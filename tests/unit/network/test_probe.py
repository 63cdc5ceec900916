"""Which packets get through."""

from collections.abc import Mapping

from appliance.network.echo import checksum
from appliance.network.probe import largest


def asking(limits: Mapping[str, int]) -> tuple[list[dict[str, int]], object]:
    asked: list[dict[str, int]] = []

    def ask(sizes: Mapping[str, int], patience: float) -> dict[str, float]:
        asked.append(dict(sizes))
        return {address: patience for address, size in sizes.items() if size <= limits[address]}

    return asked, ask


def test_the_largest_packet_of_each_way_is_found_to_the_byte() -> None:
    _, ask = asking({"a": 1450, "b": 1399, "c": 600})
    assert largest(ask, ["a", "b", "c"], 1450) == {"a": 1450, "b": 1399, "c": 600}  # type: ignore[arg-type]


def test_where_all_is_well_one_packet_is_enough() -> None:
    asked, ask = asking({"a": 9000})
    largest(ask, ["a"], 1450)  # type: ignore[arg-type]
    assert asked == [{"a": 1450}]


def test_a_checksum_is_that_of_rfc_1071() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
