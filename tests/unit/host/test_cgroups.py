"""Where a process's control group lies and what it used."""

from pathlib import Path

from appliance.host.cgroups import group_of, mounts

VERSION_1 = """32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
33 31 0:30 / {root}/cpuacct rw - cgroup cgroup rw,cpuacct
35 31 0:32 / {root}/memory rw - cgroup cgroup rw,memory
41 31 0:38 / {root}/unified rw - cgroup2 cgroup2 rw
"""
VERSION_2 = "30 23 0:26 / {root} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_version_1_is_read_where_its_controllers_are_mounted(tmp_path: Path) -> None:
    write(tmp_path / "cpuacct/docker/c1/cpuacct.usage", "2500000000\n")
    write(tmp_path / "memory/docker/c1/memory.usage_in_bytes", "5000\n")
    write(tmp_path / "memory/docker/c1/memory.stat", "cache 9\ntotal_inactive_file 1000\n")
    text = "9:name=systemd:/\n4:memory:/docker/c1\n2:cpuacct:/docker/c1\n0::/\n"
    group = group_of(text, mounts(VERSION_1.format(root=tmp_path)))
    assert (group.cpu_seconds(), group.memory_bytes()) == (2.5, 4000)


def test_version_2_is_read_where_it_is_alone(tmp_path: Path) -> None:
    place = tmp_path / "system.slice/docker-c1.scope"
    write(place / "cpu.stat", "usage_usec 1500000\nuser_usec 1\n")
    write(place / "memory.current", "7000\n")
    write(place / "memory.stat", "anon 1\ninactive_file 500\n")
    group = group_of("0::/system.slice/docker-c1.scope\n", mounts(VERSION_2.format(root=tmp_path)))
    assert (group.cpu_seconds(), group.memory_bytes()) == (1.5, 6500)


def test_what_is_not_accounted_counts_nothing() -> None:
    group = group_of("0::/\n", {})
    assert (group.cpu_seconds(), group.memory_bytes()) == (0.0, 0)


def test_this_process_has_used_something() -> None:
    own = group_of(Path("/proc/self/cgroup").read_text(), mounts(Path("/proc/self/mountinfo").read_text()))
    assert own.cpu is None or own.cpu_seconds() > 0
