"""A node on either engine. A test that asks for `docker_node` or `fake_node` says why it needs that one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.engine.docker import DockerEngine
from appliance.engine.fake import FakeEngine
from appliance.engine.fake_container import Image
from tests.unit.agent.node import FUNCTIONS, IMAGE, Node


@pytest.fixture
def fake_node(tmp_path: Path) -> Iterator[Node]:
    made = Node(FakeEngine({IMAGE: Image("sha256:b")}, FUNCTIONS), tmp_path)
    yield made
    made.clean()


@pytest.fixture
def docker_node(docker_socket: Path, tmp_path: Path) -> Iterator[Node]:
    made = Node(DockerEngine(docker_socket), tmp_path)
    yield made
    made.clean()


@pytest.fixture(params=["fake", "docker"])
def node(request: pytest.FixtureRequest) -> Node:
    made: Node = request.getfixturevalue(f"{request.param}_node")
    return made
