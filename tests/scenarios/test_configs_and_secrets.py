"""Configs and secrets reach containers, and nobody else; a node needs no manager for them.

The tests are one story and run in this order.
"""

from pathlib import Path

import pytest

from tests.lab.cluster import Cluster, engine_of, running
from tests.lab.host import Host
from tests.lab.images import docker_archive
from tests.lab.waiting import eventually

FIRST, SECOND = "open-sesame-1001", "open-sesame-1002"

SPEC = """
service: vault
variables: {{colour: {colour}}}
configs:
  app.conf: {{path: /etc/app.conf, text: "I am ${{instance.name}}, ${{colour}}, with ${{secret.key}}", to: [web]}}
  motd: {{path: /etc/motd, text: "hello", to: [plain]}}
secrets: [key]
deploys:
  web:
    stop_grace: 1s
    placement: {{node: {node}}}
    volumes: {{scratch: {{medium: memory, size: 1Mi}}}}
    containers:
      main:
        image: lab/vault:1
        command: [sleep, "1000000"]
        env: {{KEY: {{secret: key}}, URL: "db://${{secret.key}}@${{node.name}}"}}
        secrets: {{key: /run/secrets/key}}
        volumes: {{scratch: /scratch}}
        read_only: true
  plain:
    stop_grace: 1s
    placement: {{node: {node}}}
    containers:
      main: {{image: lab/vault:1, command: [sleep, "1000000"]}}
"""


@pytest.fixture(scope="module")
def cluster(one_node: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    one_node.join(one_node.lab.host("a1"))
    archive = tmp_path_factory.mktemp("image") / "vault.tar"
    one_node.load_image(docker_archive(archive, "lab/vault:1"))
    return one_node


def apply(cluster: Cluster, colour: str = "blue") -> None:
    cluster.apply(SPEC.format(colour=colour, node=cluster.node_name(cluster.hosts[1])), timeout=180)


def set_key(cluster: Cluster, value: str) -> str:
    file = cluster.manager.data / "key"
    file.write_text(value)
    shown = cluster.manager.appliance("secret", "set", "vault/key", "--from-file", cluster.manager.root / "key")
    file.unlink()
    return shown.stdout + shown.stderr


def inside(cluster: Cluster, *command: str) -> str:
    answer: str = cluster.manager.appliance("exec", "vault/web-0", "--", *command).stdout
    return answer.strip()


def holders(folder: Path, text: str) -> list[str]:
    """Files with the text, except the engine's own data, where the environment of containers is kept."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [str(path) for path in files if "appliance/engine/" not in str(path) and text.encode() in path.read_bytes()]


def test_a_service_waits_for_its_secrets(cluster: Cluster) -> None:
    file = SPEC.format(colour="blue", node=cluster.node_name(cluster.hosts[1]))
    refused = cluster.apply(file, check=False)
    assert refused.returncode == 3 and "appliance secret set vault/key" in refused.stderr


def test_containers_find_configs_and_secrets_as_files_and_in_their_environment(cluster: Cluster) -> None:
    assert "next `appliance apply` of vault" in set_key(cluster, FIRST)
    apply(cluster)
    name = cluster.node_name(cluster.hosts[1])
    assert inside(cluster, "cat", "/etc/app.conf") == f"I am vault/web-0, blue, with {FIRST}"
    assert inside(cluster, "cat", "/run/secrets/key") == FIRST
    environment = inside(cluster, "cat", "/proc/1/environ").split("\0")
    assert {f"KEY={FIRST}", f"URL=db://{FIRST}@{name}", "APPLIANCE_INSTANCE=vault/web-0"} <= set(environment)
    scratch = next(line for line in inside(cluster, "cat", "/proc/mounts").splitlines() if " /scratch " in line)
    assert "tmpfs" in scratch and "size=1024k" in scratch


def test_a_changed_config_restarts_those_that_see_it_and_no_others(cluster: Cluster) -> None:
    before = running(cluster.hosts, "vault")
    apply(cluster, "green")
    after = running(cluster.hosts, "vault")
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == [name for name in before if "web-0" in name]
    assert "green" in inside(cluster, "cat", "/etc/app.conf")


def test_a_new_version_takes_effect_with_the_next_apply(cluster: Cluster) -> None:
    before = running(cluster.hosts, "vault")
    set_key(cluster, SECOND)
    assert inside(cluster, "cat", "/run/secrets/key") == FIRST
    apply(cluster, "green")
    after = running(cluster.hosts, "vault")
    assert [name for name in before if before[name] != after[name]] == [name for name in before if "web-0" in name]
    assert inside(cluster, "cat", "/run/secrets/key") == SECOND


def test_plain_text_lies_on_no_disk_in_no_log_and_not_in_etcd(cluster: Cluster) -> None:
    for host in cluster.hosts:
        for text in (FIRST, SECOND):
            assert holders(host.data, text) == []
    answers = "".join(
        cluster.manager.appliance(*words, "-o", "json").stdout
        for words in (("secret", "ls"), ("ps",), ("history", "vault"), ("events",))
    )
    assert "open-sesame" not in answers
    assert holders(cluster.manager.data / "var/lib/appliance/etcd", "app.conf"), "etcd's files are read as they are"


def test_without_a_manager_a_rebooted_node_has_its_secrets(cluster: Cluster) -> None:
    agent = cluster.hosts[1]
    names = set(running([agent], "vault"))
    cluster.manager.power_off()
    cluster.lab.reboot(agent)
    agent.start()

    def back() -> bool:
        try:
            return set(running([agent], "vault")) == names
        except (ConnectionError, FileNotFoundError):
            return False

    eventually(back, timeout=90)
    assert seen_by_web(agent, "run/secrets/key") == SECOND
    assert SECOND in seen_by_web(agent, "etc/app.conf")


def seen_by_web(host: Host, path: str) -> str:
    """A file of the container, from its host."""
    containers = running([host], "vault")
    container = next(found for name, (found, _) in containers.items() if "web-0" in name and "pause" not in name)
    pid = engine_of(host).request("GET", f"/containers/{container}/json")["State"]["Pid"]
    return host.run("cat", f"/proc/{pid}/root/{path}").stdout.strip()


def test_down_leaves_nothing_of_it_in_memory(cluster: Cluster) -> None:
    agent = cluster.hosts[1]
    agent.appliance("down", "--yes", timeout=120)
    mounted = agent.run("cat", "/proc/self/mounts").stdout
    assert "run/appliance/memory" not in mounted
