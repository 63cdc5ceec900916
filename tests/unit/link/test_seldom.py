"""The same sentence is worth a line once in a while only."""

from appliance.link.seldom import AGAIN_AFTER, Seldom


def test_the_same_is_news_again_only_after_a_while() -> None:
    now = 0.0
    seldom = Seldom(lambda: now)
    assert seldom.is_news("a")
    assert not seldom.is_news("a")
    assert seldom.is_news("b")
    now = AGAIN_AFTER
    assert seldom.is_news("a")
