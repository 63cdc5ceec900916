"""The names under which instances find each other."""

from appliance.agent.names import hosts_text


def test_a_deploys_name_stands_for_all_its_instances_the_first_one_first() -> None:
    names = {
        "shop/web-1": "10.1.2.2",
        "shop/web-0": "10.1.1.2",
        "shop/web-admin-0": "10.1.1.3",
        "other/web-0": "10.1.1.4",
    }
    assert hosts_text(names).splitlines() == [
        "127.0.0.1 localhost",
        "::1 localhost ip6-localhost",
        "10.1.1.4 web-0.other web.other",
        "10.1.1.2 web-0.shop web.shop",
        "10.1.2.2 web-1.shop web.shop",
        "10.1.1.3 web-admin-0.shop web-admin.shop",
    ]


def test_an_instance_without_an_address_has_no_name() -> None:
    assert "etcd" not in hosts_text({"system/etcd-1": ""})
