"""Image recipes and what comes of them."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from bundle import images
from bundle.archive import add_tree, tar_gz
from bundle.images import Recipe
from bundle.workshop import ARCHITECTURES, BuildFailed


def test_every_recipe_of_the_checkout_is_readable() -> None:
    assert {"busybox", "etcd", "nginx", "pause", "registry"} <= {recipe.name for recipe in images.recipes()}


def test_a_misspelt_key_is_refused(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('packages = ["a"]\nentry_point = ["/a"]\n')
    with pytest.raises(BuildFailed, match="entry_point"):
        images.read_recipe(recipe)


def test_a_config_says_how_to_start_the_image() -> None:
    recipe = Recipe("web", ("nginx",), entrypoint=("/nginx",), ports=(80,), env={"A": "b"}, user="7")
    config = json.loads(images.image_config(recipe, ARCHITECTURES["arm64"], ["1" * 64]))
    assert config["architecture"] == "arm64"
    assert config["rootfs"]["diff_ids"] == ["sha256:" + "1" * 64]
    assert config["config"] == {
        "Entrypoint": ["/nginx"],
        "Env": ["PATH=/usr/sbin:/usr/bin", "A=b"],
        "ExposedPorts": {"80/tcp": {}},
        "User": "7",
        "WorkingDir": "/",
    }


def test_licences_stay_and_manuals_go() -> None:
    assert images.keeps("usr/share/doc/nginx/copyright")
    assert images.keeps("usr/sbin/nginx")
    assert not images.keeps("usr/share/doc/nginx/README")
    assert not images.keeps("usr/share/man/man8/nginx.8.gz")


def test_a_layer_of_own_files_has_its_folders_links_and_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPLIANCE_CACHE", str(tmp_path))
    recipe = Recipe("none", (), folders=("/tmp:1777",), links={"/bin": "usr/bin"}, programs={"busybox": ("sh",)})
    layer = images.own_layer(recipe)
    with tarfile.open(layer.path) as tar:
        members = {member.name: member for member in tar}
    assert members["tmp"].mode == 0o1777
    assert members["bin"].linkname == "usr/bin"
    assert members["usr/bin/sh"].linkname == "busybox"
    assert "etc/passwd" in members
    assert hashlib.sha256(layer.path.read_bytes()).hexdigest() == layer.sha256


def test_the_same_tree_packs_to_the_same_bytes(tmp_path: Path) -> None:
    packed = []
    for name, order in (("one", ("a", "b")), ("two", ("b", "a"))):
        tree = tmp_path / name
        tree.mkdir()
        for file in order:
            (tree / file).write_text(file)
        (tree / "link").symlink_to("a")
        with tar_gz(tmp_path / f"{name}.tar.gz") as tar:
            add_tree(tar, tree)
        packed.append((tmp_path / f"{name}.tar.gz").read_bytes())
    assert packed[0] == packed[1]
