"""What an instance needs, from its revision."""

from appliance.model.cluster import Image
from appliance.model.container import Container, Port, Resources
from appliance.model.instance import Instance
from appliance.model.job import Job
from appliance.model.service import Affinity, Deploy, Placement, Revision, Service, Volume
from appliance.scheduler.need import Need, need_of


def need(deploy: Deploy, architectures: dict[str, str] | None = None) -> Need:
    images = {
        name: Image(reference=name, id="i", architecture=each, size=1, pull="", loaded_at="")
        for name, each in (architectures or {}).items()
    }
    spec = Service(name="s", deploys={"web": deploy})
    found = need_of(
        instance("web"), Revision(service="s", number=1, spec=spec, author="", created_at="", images=images)
    )
    assert found
    return found


def instance(deploy: str) -> Instance:
    return Instance(name=f"s/{deploy}-0", service="s", deploy=deploy, index=0, revision=1, node="n1", avoid="n2")


def web(*containers: Container, **fields: object) -> Deploy:
    return Deploy(name="web", containers={str(place): each for place, each in enumerate(containers)}, **fields)  # type: ignore[arg-type]


def container(image: str = "a", **fields: object) -> Container:
    return Container(image=image, **fields)  # type: ignore[arg-type]


def test_containers_and_volumes_in_memory_add_up() -> None:
    one = container(resources=Resources(cpu=250, memory=100, gpus=1, gpu_model="T4"), devices=("/dev/a",))
    other = container(resources=Resources(cpu=500, memory=50, gpus=2), devices=("/dev/b",))
    found = need(web(one, container(), other, volumes={"m": Volume(size=7, medium="memory")}))
    assert (found.cpu, found.memory, found.gpus) == (750, 157, ((1, "T4"), (2, "")))
    assert found.devices == {"/dev/a", "/dev/b"}


def test_only_volumes_with_a_medium_of_the_nodes_disks_count_as_storage() -> None:
    volumes = {
        "a": Volume(size=1, medium="nvme"),
        "b": Volume(size=2, medium="nvme"),
        "c": Volume(medium="hdd"),
        "d": Volume(size=4),
        "e": Volume(path="/srv"),
    }
    assert need(web(container(), volumes=volumes)).storage == (("hdd", 0), ("nvme", 3))


def test_ports_are_those_published_or_all_on_the_nodes_network() -> None:
    ports = {"http": Port(port=80, publish=8080), "dns": Port(port=53, protocol="udp")}
    assert need(web(container(ports=ports))).ports == {("tcp", 8080)}
    assert need(web(container(ports=ports), host_network=True)).ports == {("tcp", 80), ("udp", 53)}


def test_the_architecture_suits_every_image_and_the_placement() -> None:
    assert need(web(container("bundled"))).architectures is None
    assert need(web(container("a")), {"a": "amd64"}).architectures == frozenset({"x86_64"})
    assert need(web(container("a"), container("b")), {"a": "amd64", "b": "arm64"}).architectures == frozenset()
    either = Placement(architecture=("x86_64", "aarch64"))
    assert need(web(container("a"), placement=either), {"a": "arm64"}).architectures == frozenset({"aarch64"})


def test_deploys_of_the_same_service_get_their_full_name() -> None:
    placement = Placement(near=(Affinity(deploy="db"),), away=(Affinity(deploy="other/db", by="rack"),))
    found = need(web(container(), placement=placement))
    assert [each.deploy for each in (*found.near, *found.away)] == ["s/db", "other/db"]
    assert (found.node, found.avoid) == ("n1", "n2")


def test_a_job_is_placed_like_a_deploy_with_one_container() -> None:
    job = Job(name="j", type="once", container=container(resources=Resources(cpu=5)), require={"zone": ("a",)})
    revision = Revision(service="s", number=1, spec=Service(name="s", jobs={"j": job}), author="", created_at="")
    found = need_of(instance("j"), revision)
    assert found
    assert (found.deploy, found.cpu, found.placement.require) == ("s/j", 5, {"zone": ("a",)})
    assert need_of(instance("gone"), revision) is None
