"""A manager that is there, as the others see it."""

import msgspec


class Alive(msgspec.Struct, frozen=True, kw_only=True):
    """`id`: of its node. `run` is another with every start of its process. It vanishes with the process."""

    id: str
    run: str
