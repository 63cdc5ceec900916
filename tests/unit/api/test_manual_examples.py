"""Every service of the manual and every example file goes through the whole way of an apply."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.api.revisions import Apply, apply, propose
from appliance.model.cluster import Image
from appliance.model.definition import images_of
from appliance.security.ca import issue, make_ca
from appliance.spec.reader import read_services
from tests.unit.api.cluster_in_memory import NOW, InMemory
from tests.unit.spec.test_manual import SERVICES

FILES = sorted((Path(__file__).parents[3] / "appliance/spec/examples").glob("*.yaml"))
ALL = SERVICES | {file.name: file.read_text() for file in FILES}


@pytest.mark.parametrize("text", ALL.values(), ids=ALL.keys())
def test_a_cluster_with_its_images_and_secrets_takes_it(cluster: InMemory, text: str) -> None:
    def read(source: str, file: str, variables: dict[str, str]) -> object:
        return read_services(source, file, variables)[0]

    context = replace(cluster.context, read_service=read)  # type: ignore[arg-type]
    (spec,) = read_services(text, "", {})
    for reference in images_of(spec):
        image = Image(reference=reference, id="sha256:1", pull="p", architecture="amd64", size=1, loaded_at=NOW)
        cluster.write(cluster.state.images.put(reference, image))
    pair = issue(make_ca("lab", time.time()), "shop", time.time(), names=("shop.example",), server=True)
    for name in spec.secrets:
        cluster.set_secret(spec.name, name, text=(pair.certificate + pair.key).decode())
    assert apply(context, Apply(text=text), "me").revision == 1
    again = propose(context, text, "", {})
    assert again.spec == spec
    assert not apply(context, Apply(text=text), "me").changed
