"""Image archives are read as what they are, and not trusted."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from appliance.delivery.images import ArchivedImage, manifest_of, open_archive, repository_of
from appliance.errors import Refused

LAYER = b"layer" * 1000


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config(*plain_layers: bytes) -> bytes:
    return json.dumps({"architecture": "amd64", "rootfs": {"diff_ids": [digest(one) for one in plain_layers]}}).encode()


def archive(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    return path


def docker_save(
    path: Path, layer: bytes = LAYER, plain: bytes = LAYER, tags: tuple[str, ...] = ("shop/web:1",)
) -> Path:
    manifest = [{"Config": "c.json", "RepoTags": list(tags), "Layers": ["a/layer.tar"]}]
    return archive(
        path, {"c.json": config(plain), "a/layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    )


def oci(path: Path, layer: bytes, named: str = "") -> Path:
    made = config(LAYER)
    manifest = json.dumps(
        {
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(made)},
            "layers": [{"digest": named or digest(layer)}],
        }
    ).encode()
    notes = {"org.opencontainers.image.ref.name": "shop/web:1"}
    index = {"manifests": [{"digest": digest(manifest), "annotations": notes}]}
    blobs = {f"blobs/sha256/{digest(one)[7:]}": one for one in (made, manifest)}
    blobs[f"blobs/sha256/{(named or digest(layer))[7:]}"] = layer
    return archive(path, blobs | {"index.json": json.dumps(index).encode()})


def images(path: Path) -> list[ArchivedImage]:
    with open_archive(path) as opened:
        return opened.images()


def test_docker_save(tmp_path: Path) -> None:
    [image] = images(docker_save(tmp_path / "i.tar"))
    assert image.references == ("shop/web:1",)
    assert image.id == digest(config(LAYER))
    assert [blob.digest for blob in image.layers] == [digest(LAYER)]


def test_a_compressed_archive(tmp_path: Path) -> None:
    plain = docker_save(tmp_path / "i.tar")
    packed = tmp_path / "i.tar.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert [manifest_of(one) for one in images(packed)] == [manifest_of(one) for one in images(plain)]


def test_an_oci_archive_with_a_compressed_layer(tmp_path: Path) -> None:
    layer = gzip.compress(LAYER)
    [image] = images(oci(tmp_path / "i.tar", layer))
    assert image.references == ("shop/web:1",)
    [named] = json.loads(manifest_of(image))["layers"]
    assert named["mediaType"].endswith("tar+gzip") and named["digest"] == digest(layer)


def test_a_layer_that_is_a_link_to_another(tmp_path: Path) -> None:
    manifest = [{"Config": "c.json", "RepoTags": ["x:1"], "Layers": ["a/layer.tar", "b/layer.tar"]}]
    files = {"c.json": config(LAYER, LAYER), "a/layer.tar": LAYER, "manifest.json": json.dumps(manifest).encode()}
    [image] = images(archive(tmp_path / "i.tar", files, {"b/layer.tar": "../a/layer.tar"}))
    assert [blob.digest for blob in image.layers] == [digest(LAYER)] * 2


def test_a_layer_with_other_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not an image archive") as refused:
        images(docker_save(tmp_path / "i.tar", layer=b"other" * 1000))
    assert "other bytes" in refused.value.why


def test_an_oci_layer_that_is_not_its_digest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        images(oci(tmp_path / "i.tar", LAYER, named=digest(b"something else")))
    assert "other bytes" in refused.value.why


def test_a_link_out_of_the_archive_leads_nowhere(tmp_path: Path) -> None:
    manifest = [{"Config": "c.json", "RepoTags": ["x:1"], "Layers": []}]
    files = {"manifest.json": json.dumps(manifest).encode()}
    with pytest.raises(Refused, match="image archive"):
        images(archive(tmp_path / "i.tar", files, {"c.json": "/etc/passwd"}))


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    whole = docker_save(tmp_path / "i.tar").read_bytes()
    for length in (0, 100, 700, 3000):
        cut = tmp_path / "cut.tar"
        cut.write_bytes(whole[:length])
        with pytest.raises(Refused):
            images(cut)


def test_an_image_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no image with a name"):
        images(docker_save(tmp_path / "i.tar", tags=()))


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("shop/web:1.4", ("shop/web", "1.4")),
        ("web", ("web", "latest")),
        ("Registry.local:5000/shop/web:2", ("registry-local-5000/shop/web", "2")),
    ],
)
def test_where_an_image_lies_in_the_registry(reference: str, repository: tuple[str, str]) -> None:
    assert repository_of(reference) == repository
