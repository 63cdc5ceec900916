"""Fixtures that give tests the real things: an engine, an etcd, labs of hosts."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from appliance.host import mounts
from tests.lab import lab
from tests.lab.engine import Engine
from tests.lab.etcd import EtcdProcess
from tests.lab.lab import Lab

_REPOSITORY = Path(__file__).parent.parent
_LOGS = Path("/var/tmp/appliance-failed")

# Without a limit for one example: how long it takes depends on what else the machine does. `build.py test` asks for
# Hypothesis' own profile "ci" instead, in which the examples are the same each time.
hypothesis.settings.register_profile("everyday", deadline=None, print_blob=True)
hypothesis.settings.load_profile("everyday")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """When a test fails, keep the logs of the hosts it played with: they are gone with the lab."""
    report = yield
    if report.failed and lab.alive:
        folder = _LOGS / re.sub(r"[^\w.-]+", "-", f"{item.nodeid}-{report.when}")
        for each in lab.alive:
            each.copy_logs(folder)
        report.sections.append(("the hosts' logs", str(folder)))
    return report


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """pytest's own, of which nothing stays mounted however the test ends: pytest could not remove it."""
    yield tmp_path
    for point in mounts.mounted_below(tmp_path):
        mounts.unmount(point, lazily=True)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A real dockerd on a lab host of its own, with the image `busybox:lab`."""
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("needs root and Docker's programs (docker.io)")
    with Lab() as lab:
        engine = Engine(lab.host("engine"))
        engine.start()
        yield engine


@pytest.fixture(scope="session")
def docker_socket(engine: Engine) -> Path:
    """The unix socket of a real dockerd which has the image `busybox:lab`."""
    return engine.socket


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdProcess]:
    """A running etcd that the test may kill, freeze and restart."""
    if not shutil.which("etcd"):
        pytest.skip("needs etcd (etcd-server)")
    process = EtcdProcess(tmp_path)
    process.start()
    yield process
    process.kill()


@pytest.fixture
def etcd_endpoint(etcd: EtcdProcess) -> str:
    """HOST:PORT of a fresh etcd, plain HTTP."""
    return etcd.endpoint


@pytest.fixture(scope="session")
def package() -> Path:
    """The product's file: what APPLIANCE_PACKAGE names, else what the workshop built."""
    path = Path(os.environ.get("APPLIANCE_PACKAGE", _REPOSITORY / "dist/appliance")).resolve()
    if os.geteuid() != 0 or not path.exists():
        pytest.skip(f"needs root and a built package ({path})")
    return path


@pytest.fixture(scope="session")
def newer_package(package: Path) -> Path:
    """The file of the release after that of `package`."""
    told = subprocess.run([package, "version", "-o", "json"], check=True, capture_output=True)
    number = json.loads(told.stdout)["release"] + 1
    path = _REPOSITORY / f"dist/appliance-release-{number}"
    if not path.exists():
        pytest.skip(f"needs {path}: ./build.py build --release {number}")
    return path
