"""What a request carries."""

import pytest

from appliance.api.call import Call
from appliance.api.tokens import NewToken
from appliance.errors import UsageError


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"role": "king"}', b'{"role": "\xff"}', b'{"roll": "agent"}'])
def test_a_body_of_another_kind_is_wrong_usage(body: bytes) -> None:
    with pytest.raises(UsageError):
        Call(body=body).data(NewToken)


def test_no_body_is_an_empty_one() -> None:
    assert Call().data(NewToken) == NewToken(role="agent")
