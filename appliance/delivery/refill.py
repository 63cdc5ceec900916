"""Puts what a backup holds into an empty store, also when it is killed on the way and has to begin again."""

from collections.abc import Iterator, Mapping

from appliance.store import keys
from appliance.store.store import MOST_OPERATIONS, Put, Store

_LARGEST_BATCH = 1_000_000
"""Bytes of keys and values; a commit takes more than this and one largest value would be."""


def refill(store: Store, entries: Mapping[str, bytes]) -> None:
    """The cluster's own entry comes last: a store without it counts as empty, and is filled from the start."""
    last = entries.get(keys.CLUSTER)
    for batch in _batches({key: value for key, value in entries.items() if key != keys.CLUSTER}):
        store.commit(batch)
    if last is not None:
        store.commit([Put(keys.CLUSTER, last)])


def _batches(entries: Mapping[str, bytes]) -> Iterator[list[Put]]:
    batch: list[Put] = []
    size = 0
    for key, value in entries.items():
        more = len(key) + len(value)
        if batch and (len(batch) == MOST_OPERATIONS or size + more > _LARGEST_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(Put(key, value))
        size += more
    if batch:
        yield batch
