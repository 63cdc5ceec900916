"""Single values changed without the file."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from appliance.api.patch import Patch, patch
from appliance.api.revisions import Apply, apply
from appliance.errors import Conflict, Refused, SpecInvalid
from appliance.spec.reader import read_service
from tests.unit.api.cluster_in_memory import InMemory

FILE = """service: shop
variables: {tag: "0.1.0"}
deploys:
  web:
    replicas: 1   # enough for now
    containers: {main: {image: "appliance/busybox:${tag}"}}
"""


@pytest.fixture
def shop(cluster: InMemory) -> Iterator[InMemory]:
    """With the real reader."""
    context = replace(
        cluster.context,
        read_service=read_service,
        bundle_images=frozenset({"appliance/busybox:0.1.0", "appliance/busybox:2"}),
    )
    apply(context, Apply(text=FILE), "root")
    yield InMemory(context, cluster.state, cluster.routes, cluster.membership, cluster.maintenance)


def test_a_value_is_changed_and_the_rest_of_the_text_stays(shop: InMemory) -> None:
    answer = patch(shop.context, "shop", Patch(set={"deploys.web.replicas": "3"}), "anna")
    made = shop.state.revision("shop", answer.revision)
    assert made is not None and made.spec.deploys["web"].replicas == 3
    assert "# enough for now" in made.source
    assert (made.author, made.message) == ("anna", "patch deploys.web.replicas")
    assert "--show 2" in answer.notes[0]


def test_a_variable_is_given_and_stays_given(shop: InMemory) -> None:
    patch(shop.context, "shop", Patch(set={"variables.tag": "2"}), "root")
    patch(shop.context, "shop", Patch(set={"deploys.web.replicas": "3"}), "root")
    made = shop.state.revision("shop", 3)
    assert made is not None and made.overrides == {"tag": "2"}
    assert made.spec.deploys["web"].containers["main"].image == "appliance/busybox:2"


def test_what_would_be_refused_of_a_file_is_refused_of_a_patch(shop: InMemory) -> None:
    with pytest.raises(SpecInvalid):
        patch(shop.context, "shop", Patch(set={"deploys.web.replicas": "many"}), "root")
    with pytest.raises(Conflict):
        patch(shop.context, "shop", Patch(set={"deploys.web.replicas": "3"}, index=7), "root")


def test_a_revision_without_its_text_cannot_be_patched(shop: InMemory) -> None:
    apply(replace(shop.context, read_service=lambda *_: read_service(FILE, "", {"tag": "2"})), Apply(text=""), "root")
    with pytest.raises(Refused, match="did not keep the file"):
        patch(shop.context, "shop", Patch(set={"deploys.web.replicas": "3"}), "root")
