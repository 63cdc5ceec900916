"""What a node keeps of secrets, and what others can see of it."""

from pathlib import Path

from appliance.agent.secrets import SecretBook


def _book(folder: Path) -> SecretBook:
    return SecretBook(folder / "var/secrets.sealed", folder / "etc/secrets.key")


def test_secrets_outlive_the_process_and_lie_sealed(tmp_path: Path) -> None:
    _book(tmp_path).take({"shop/key@1": "open sesame"})
    assert _book(tmp_path).get("shop/key@1") == "open sesame"
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"sesame" not in written and b"shop" not in written
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.rglob("*") if path.is_file())


def test_only_what_somebody_uses_is_kept(tmp_path: Path) -> None:
    book = _book(tmp_path)
    book.take({"shop/key@1": "a", "shop/key@2": "b"})
    book.keep(["shop/key@2", "shop/other@1"])
    assert (book.get("shop/key@1"), _book(tmp_path).get("shop/key@1"), book.get("shop/key@2")) == (None, None, "b")


def test_a_node_without_secrets_has_neither_file_nor_key(tmp_path: Path) -> None:
    _book(tmp_path).keep([])
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read_is_forgotten_until_it_is_sent_again(tmp_path: Path) -> None:
    _book(tmp_path).take({"shop/key@1": "a"})
    for file, content in (("var/secrets.sealed", b"\x01nonsense"), ("etc/secrets.key", b"short")):
        (tmp_path / file).write_bytes(content)
        book = _book(tmp_path)
        assert book.get("shop/key@1") is None
        book.take({"shop/key@1": "a"})
        assert _book(tmp_path).get("shop/key@1") == "a"
