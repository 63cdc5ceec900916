"""A person's login, as the store keeps it: under the hash of its id, never the id."""

import msgspec


class LoginSession(msgspec.Struct, frozen=True, kw_only=True):
    """`lease`: it ends with that."""

    user: str
    lease: int
