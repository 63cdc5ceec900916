"""Runs on a manager's host: prints what etcd itself holds as JSON, and compacts its history when told to.

read_store.py PKI [compact]
"""

import hashlib
import json
import sys
from pathlib import Path

from appliance.model.cluster import ETCD_CLIENT_PORT
from appliance.store import keys
from appliance.store.etcd import EtcdStore
from appliance.store.etcd_channels import Credentials, EtcdChannels
from appliance.store.etcd_messages import messages


def main(pki: Path, *wishes: str) -> None:
    read = [(pki / "client" / name).read_bytes() for name in ("ca.crt", "client.crt", "client.key")]
    channels = EtcdChannels([f"127.0.0.1:{ETCD_CLIENT_PORT}"], Credentials(*read))
    store = EtcdStore(channels)
    listing = store.list(keys.ROOT)
    if "compact" in wishes:
        channels.call(lambda channel: channel.kv.Compact, messages.CompactionRequest(revision=listing.revision))
    entries = {entry.key: [entry.revision, hashlib.sha256(entry.value).hexdigest()] for entry in listing.entries}
    print(json.dumps({"revision": listing.revision, "entries": entries}))
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
