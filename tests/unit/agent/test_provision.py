"""What a container finds besides its image: configs, secrets, and what it is told of itself."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from appliance.agent.files import InstanceFiles
from appliance.agent.provision import Provision
from appliance.agent.secrets import SecretBook
from appliance.agent.volumes import Volumes
from appliance.engine.container import pause_settings, settings_for
from appliance.engine.engine import ContainerSettings
from appliance.errors import ApplianceError
from appliance.host import mounts
from appliance.model.container import Container
from appliance.model.instance import Assignment, PlannedContainer, PlannedFile
from tests.unit.agent.node import IDENTITY, places, resolver_text

PASSWORD = "shop/db-password@3"
CONFIG = PlannedFile(
    path="/etc/shop/app.conf", text="me=${instance.name} price=5$$ at=${secret.db-password}", mode=0o440, template=True
)
MAIN = PlannedContainer(
    name="main",
    spec=Container(
        image="shop/web:1",
        env={
            "COLOUR": "blue",
            "URL": "pg://${secret.db-password}@${node.name}:${instance.index}",
            "LITERAL": "${node.name}",
        },
        templates=("URL",),
        secret_env={"PASSWORD": "db-password"},
        secrets={"db-password": "/run/secrets/db"},
    ),
    files=(CONFIG, PlannedFile(path="/etc/motd", text="hello ${node.name}")),
    secrets={"db-password": 3},
)
WEB = Assignment(
    instance="shop/web-2", service="shop", deploy="web", index=2, revision=1, ip="10.98.9.5", containers=(MAIN,)
)


class Room:
    """The provision of a node in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = SecretBook(folder / "secrets.sealed", folder / "secrets.key")
        volumes = Volumes(folder / "volumes", folder / "memory", lambda: {"": folder / "volumes"})
        self.provision = Provision(volumes, InstanceFiles(folder / "files"), self.secrets, IDENTITY, resolver_text)

    def completed(self, assignment: Assignment = WEB) -> ContainerSettings:
        settings = settings_for(assignment, assignment.containers[0], "sha256:1", places(self.folder))
        return self.provision.complete(assignment, settings)

    def contents(self, settings: ContainerSettings) -> Mapping[str, str]:
        """Of the files of ours that the container sees, by their paths inside."""
        return {target: source.read_text() for target, source in self.sources(settings).items()}

    def sources(self, settings: ContainerSettings) -> Mapping[str, Path]:
        """Where these files lie, by their paths inside."""
        ours = [mount for mount in settings.mounts if mount.source.startswith(f"{self.folder}/files/")]
        assert all(mount.read_only for mount in ours)
        return {mount.target: Path(mount.source) for mount in ours}


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_configs_and_secrets_are_files_and_environment(room: Room) -> None:
    room.secrets.take({PASSWORD: "open sesame"})
    room.provision.prepare(WEB)
    settings = room.completed()
    assert room.contents(settings) == {
        "/etc/shop/app.conf": "me=shop/web-2 price=5$ at=open sesame",
        "/etc/motd": "hello ${node.name}",
        "/run/secrets/db": "open sesame",
        "/etc/resolv.conf": resolver_text("shop"),
    }
    assert settings.env == {
        "APPLIANCE_INSTANCE": "shop/web-2",
        "APPLIANCE_SERVICE": "shop",
        "APPLIANCE_DEPLOY": "web",
        "APPLIANCE_INDEX": "2",
        "APPLIANCE_NODE": "one",
        "APPLIANCE_IP": "10.98.9.5",
        "COLOUR": "blue",
        "URL": "pg://open sesame@one:2",
        "LITERAL": "${node.name}",
        "PASSWORD": "open sesame",
    }


def test_on_the_hosts_network_the_hosts_own_name_servers_answer(room: Room) -> None:
    room.secrets.take({PASSWORD: "x"})
    on_host = msgspec.structs.replace(WEB, ip="", host_network=True)
    room.provision.prepare(on_host)
    assert "/etc/resolv.conf" not in room.contents(room.completed(on_host))


def test_files_lie_in_memory_have_their_modes_and_are_hidden_from_other_users(room: Room) -> None:
    room.secrets.take({PASSWORD: "x"})
    room.provision.prepare(WEB)
    modes = {target: path.stat().st_mode & 0o777 for target, path in room.sources(room.completed()).items()}
    assert modes == {
        "/etc/shop/app.conf": 0o440,
        "/etc/motd": 0o444,
        "/run/secrets/db": 0o444,
        "/etc/resolv.conf": 0o444,
    }
    assert (room.folder / "files").is_mount() and (room.folder / "files").stat().st_mode & 0o777 == 0o700


def test_a_running_container_keeps_the_files_that_it_was_started_with(room: Room) -> None:
    room.secrets.take({PASSWORD: "x"})
    room.provision.prepare(WEB)
    before = {path: path.stat().st_ino for path in room.sources(room.completed()).values()}
    room.provision.prepare(WEB)
    assert {path: path.stat().st_ino for path in before} == before
    changed = msgspec.structs.replace(MAIN, files=(msgspec.structs.replace(CONFIG, text="new"),))
    room.provision.prepare(msgspec.structs.replace(WEB, containers=(changed,)))
    same = {path.name: path.stat().st_ino == inode for path, inode in before.items() if path.exists()}
    assert same == {"config-0": False, "secret-db-password": True, "resolv.conf": True}, (
        "what is not wanted any more is gone"
    )


def test_after_a_reboot_the_files_are_made_again_without_a_manager(room: Room) -> None:
    room.secrets.take({PASSWORD: "x"})
    room.provision.prepare(WEB)
    mounts.unmount(str(room.folder / "files"))
    later = Room(room.folder)
    later.provision.prepare(WEB)
    assert later.contents(later.completed())["/run/secrets/db"] == "x"


def test_a_secret_that_has_not_come_is_named_and_nothing_is_made_up_for_it(room: Room) -> None:
    assert room.provision.missing(WEB) == ("secret shop/db-password@3",)
    with pytest.raises(ApplianceError, match=r"secret\.db-password"):
        room.provision.prepare(WEB)
    with pytest.raises(ApplianceError, match=r"secret\.db-password"):
        room.completed()
    room.secrets.take({PASSWORD: "x"})
    assert room.provision.missing(WEB) == ()


def test_on_the_host_network_an_instance_has_the_address_of_its_node(room: Room) -> None:
    room.secrets.take({PASSWORD: "x"})
    settings = room.completed(msgspec.structs.replace(WEB, host_network=True, ip=""))
    assert settings.env["APPLIANCE_IP"] == IDENTITY.address


def test_sidecars_and_pause_containers_are_left_as_they_are(room: Room) -> None:
    plain = PlannedContainer(name="main", spec=Container(image="appliance/etcd"))
    sidecar = msgspec.structs.replace(WEB, instance="system/etcd-1", service="system", containers=(plain,))
    assert room.completed(sidecar).env == {}
    pause = pause_settings(WEB, "sha256:2", places(room.folder))
    assert room.provision.complete(WEB, pause) == pause


def test_the_files_of_an_instance_go_with_it(room: Room) -> None:
    room.secrets.take({PASSWORD: "x"})
    room.provision.prepare(WEB)
    room.provision.remove(WEB)
    assert not (room.folder / "files/shop/web-2").exists()
