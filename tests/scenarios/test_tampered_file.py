"""One wrong byte anywhere in the file: `verify` names the part, and `up` refuses."""

import os
import random
from pathlib import Path

import pytest

from appliance.delivery.package import Package
from tests.lab.host import Host
from tests.lab.lab import Lab

SEED = int(os.environ.get("SCENARIO_SEED", random.randrange(1_000_000)))
LAYERS = 6  # of the many image layers, which are all alike


def places(package: Path, chance: random.Random) -> dict[str, int]:
    """One offset in the file for each part, by the part's name; of the layers, a few."""
    with Package.open(package) as opened:
        parts = opened.manifest.parts
        start = package.stat().st_size - opened.manifest.size
    layers = [part for part in parts if part.kind == "layer"]
    chosen = [part for part in parts if part.kind != "layer"] + chance.sample(layers, min(LAYERS, len(layers)))
    found = {part.name: start + part.offset + chance.randrange(part.size) for part in chosen if part.size}
    return found | {"prelude": chance.randrange(8192), "manifest": chance.randrange(8192 + 200, start)}


@pytest.fixture(scope="module")
def host(lab: Lab) -> Host:
    return lab.host("h1")


def flipped(file: Path, offset: int, bit: int) -> None:
    with file.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ (1 << bit)]))


def test_verify_names_the_part_with_the_wrong_byte(host: Host, package: Path) -> None:
    chance = random.Random(SEED)
    print(f"SCENARIO_SEED={SEED}")
    copy = host.data / "copy"
    copy.write_bytes(package.read_bytes())
    wrong = {}
    for part, offset in places(package, chance).items():
        bit = chance.randrange(8)
        flipped(copy, offset, bit)
        result = host.appliance("verify", host.root / "copy", check=False)
        flipped(copy, offset, bit)
        if result.returncode != 1 or part not in result.stderr:
            wrong[part] = (offset, result.returncode, result.stderr)
    assert wrong == {}
    assert host.appliance("verify", host.root / "copy").returncode == 0


def test_up_refuses_a_damaged_file_and_installs_nothing(host: Host, package: Path) -> None:
    chance = random.Random(SEED)
    print(f"SCENARIO_SEED={SEED}")
    file = host.data / "appliance"  # the only host of its lab
    wrong = {}
    for part, offset in places(package, chance).items():
        bit = chance.randrange(8)
        flipped(file, offset, bit)
        result = host.appliance("up", "--yes", "--address", host.address, check=False, timeout=180)
        flipped(file, offset, bit)
        if result.returncode == 0 or (host.data / "opt").exists() or host.pids():
            wrong[part] = (offset, result.returncode, result.stderr)
    assert wrong == {}


def test_a_truncated_file_is_refused(host: Host, package: Path) -> None:
    copy = host.data / "copy"
    data = package.read_bytes()
    for size in (9000, len(data) // 2, len(data) - 1):
        copy.write_bytes(data[:size])
        assert host.appliance("verify", host.root / "copy", check=False).returncode == 1
