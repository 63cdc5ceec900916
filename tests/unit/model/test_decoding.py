"""Typed JSON from several threads that all meet a type for the first time."""

import re
import subprocess
import sys
from pathlib import Path

from appliance.model.decoding import decode, decoder

ROOT = Path(__file__).parents[3]
RACE = """
import sys, threading
import msgspec
from appliance.model.decoding import decode

sys.setswitchinterval(1e-6)
fields = "".join(f"    f{number}: int = 0\\n" for number in range(20))
for number in range(40):
    inner = f"    inner: Kind{number - 1} | None = None\\n" if number else ""
    exec(f"class Kind{number}(msgspec.Struct):\\n{fields}{inner}")
at_once = threading.Barrier(4)
found = []

def meet() -> None:
    at_once.wait()
    for number in range(39, 0, -1):
        found.append(decode(b'{"f0": 1, "inner": {"f19": 4}}', globals()[f"Kind{number}"]).inner.f19)

threads = [threading.Thread(target=meet) for _ in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join()
assert found == [4] * 4 * 39
"""


def test_threads_that_meet_types_at_once_all_read_them() -> None:
    for _ in range(3):  # without the lock six in ten die
        done = subprocess.run([sys.executable, "-s", "-c", RACE], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_kind_has_one_decoder() -> None:
    assert decoder(tuple[int, ...]) is decoder(tuple[int, ...])
    assert decode("[1, 2]", tuple[int, ...]) == (1, 2)


def test_nothing_else_describes_types() -> None:
    described = re.compile(r"msgspec\.json\.Decoder\(|msgspec\.json\.decode\([^\n]*type=|msgspec\.convert\(")
    found = [str(file) for file in (ROOT / "appliance").rglob("*.py") if described.search(file.read_text())]
    assert found == [str(ROOT / "appliance/model/decoding.py")]
