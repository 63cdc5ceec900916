"""The Python side of the workshop: bytecode, platforms, the first start."""

import marshal
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from bundle import bytecode, runtime, wheels
from bundle.boot import unpack
from bundle.workshop import ARCHITECTURES, BuildFailed

SOURCE = '''
"""A docstring."""
LIMITS = (1, 1.0, True, -0.0, 0.0, b"x", "a sentence", "name", None, ...)
def find(x):
    return x in {"b", "a", 3} and ("a sentence", 1.0)
'''


def test_bytecode_depends_on_the_source_only() -> None:
    versions = []
    for _ in range(2):
        keep = ["a sentence", "name", 1.0]
        code = compile(SOURCE, "module.py", "exec")
        seen: dict[object, object] = {}
        versions.append(marshal.dumps(bytecode.canonical(code, seen)))
        del keep, seen
    assert versions[0] == versions[1]


def test_canonical_bytecode_means_the_same() -> None:
    code = bytecode.canonical(compile(SOURCE, "module.py", "exec"), {})
    module: dict[str, object] = {}
    exec(code, module)
    assert repr(module["LIMITS"]) == "(1, 1.0, True, -0.0, 0.0, b'x', 'a sentence', 'name', None, Ellipsis)"
    assert module["__doc__"] == "A docstring."


def test_only_functions_lose_their_docstrings() -> None:
    source = b"""
'Of a module.'
class Kept:
    'Of a class.'
    def says(self):
        'Of a function.'
        return "words"
"""
    module: dict[str, Any] = {}
    exec(bytecode.undocumented(source, "module.py"), module)
    kept = module["Kept"]
    assert (module["__doc__"], kept.__doc__, kept.says.__doc__) == ("Of a module.", "Of a class.", None)
    assert kept().says() == "words"


def test_sources_that_do_not_compile_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("x = 1\n")
    (tmp_path / "bad.py").write_text("print 'python 2'\n")
    assert bytecode.compile_tree(tmp_path) == 1


def test_the_platform_takes_wheels_up_to_the_carried_c_library_only() -> None:
    platform = wheels.complete_platform(ARCHITECTURES["arm64"])
    assert platform["compatible_tags"][0] == "cp313-cp313-manylinux_2_41_aarch64"
    assert "cp311-abi3-manylinux_2_34_aarch64" in platform["compatible_tags"]
    assert not any("2_42" in tag or "x86_64" in tag for tag in platform["compatible_tags"])


@pytest.mark.parametrize(
    ("member", "place"),
    [
        ("click/core.py", "click/core.py"),
        ("x-1.data/purelib/x/a.py", "x/a.py"),
        ("x-1.data/platlib/x/a.so", "x/a.so"),
        ("x-1.data/scripts/x", ""),
    ],
)
def test_a_wheels_member_lands_where_it_is_imported_from(member: str, place: str) -> None:
    assert unpack.in_site(member) == place


def test_folders_of_dead_starts_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    dead, alive = tmp_path / f".unpack-{done.pid}-x", tmp_path / f".unpack-{os.getpid()}-x"
    young = tmp_path / f".unpack-{done.pid}-y"
    for folder in (dead, alive, young):
        folder.mkdir()
    long_ago = time.time() - unpack.LONGEST_START - 1
    for folder in (dead, alive):
        os.utime(folder, (long_ago, long_ago))
    unpack.clean_up_after_the_dead(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted((alive, young)), "a young one may be of another process namespace"


def test_a_closure_holds_the_libraries_of_libraries(tmp_path: Path) -> None:
    needs = {"prog": ["liba"], "liba": ["libc"], "libnss": ["libc"], "libc": []}
    for name in needs:
        (tmp_path / name).touch()
    found = runtime.closure([tmp_path / "prog"], ["libnss"], tmp_path, lambda file: needs[file.name])
    assert found == {"liba", "libc", "libnss"}


def test_a_library_that_no_locked_package_has_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="libgone"):
        runtime.closure([], ["libgone"], tmp_path, lambda _: [])
