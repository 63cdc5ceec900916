"""What a head forgets."""

from appliance.api.heads import pruned
from appliance.model.service import Move, ServiceHead


def test_what_was_asked_of_deploys_that_are_gone_is_forgotten_and_of_jobs_kept() -> None:
    head = ServiceHead(
        service="shop",
        revision=4,
        scale={"web": 3, "old": 2},
        restarts={"shop/web-0": 1, "shop/old-1": 2},
        stopped=("shop/old-0", "shop/web-1"),
        moves={"shop/old-0": Move(number=1), "shop/web-2": Move(number=2)},
        runs={"report": 3},
        cancelled=("shop/report/1",),
    )
    assert pruned(head, {"web"}) == ServiceHead(
        service="shop",
        revision=4,
        scale={"web": 3},
        restarts={"shop/web-0": 1},
        stopped=("shop/web-1",),
        moves={"shop/web-2": Move(number=2)},
        runs={"report": 3},
        cancelled=("shop/report/1",),
    )


def test_a_name_that_begins_like_another_deploys_is_its_own() -> None:
    head = ServiceHead(service="shop", revision=1, restarts={"shop/web-admin-0": 1})
    assert pruned(head, {"web"}).restarts == {}
    assert pruned(head, {"web-admin"}).restarts == {"shop/web-admin-0": 1}
