"""How new a picture of the cluster is: which incarnation of the store it was worked out from, and at which revision."""

import msgspec


class Stamp(msgspec.Struct, frozen=True, order=True):
    """The greater, the newer: revisions are compared within one `Cluster.incarnation`. That of no picture is the least.

    `revision` may be lower than what the picture shows, never higher.
    """

    incarnation: int = 0
    revision: int = 0
