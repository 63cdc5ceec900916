"""Promise 3: a leader that was paused past its lease writes nothing of what it had in hand."""

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.errors import Conflict
from appliance.store import keys
from appliance.store.election import Election
from appliance.store.etcd import EtcdStore
from appliance.store.etcd_channels import EtcdChannels
from appliance.store.mirror import Mirror
from appliance.store.state import Change, commit_as_leader
from appliance.store.store import MOST_OPERATIONS, Delete, Expect, Put
from tests.lab.waiting import eventually

ROUNDS = 50
BATCHES = 3
_SOURCE = Path(__file__).parents[2]
_LEADER = """
import sys
from appliance.errors import ApplianceError
from appliance.store import election
from appliance.store.etcd import EtcdStore
from appliance.store.etcd_channels import EtcdChannels
from appliance.store.store import Put

election.LEASE_SECONDS = 2
store = EtcdStore(EtcdChannels([sys.argv[1]]))
leader = election.Election(store, "old", lambda: None)
leader.cycle()
term = leader.term()
print("leads", flush=True)
number = 0
while True:  # it believes that it leads: nobody told it otherwise
    number += 1
    try:
        leader.cycle() if leader.term() else None
        store.commit([Put("/work", b"old %d" % number)], [term])
    except ApplianceError as error:
        print(type(error).__name__, flush=True)
        if type(error).__name__ == "Conflict":
            break
"""


class Pausing(EtcdStore):
    """Its commits stop where a process would that is stopped: before they are sent, once `pause_at` were."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(EtcdChannels([endpoint]))
        self.pause_at = MOST_OPERATIONS
        self.paused, self.resumed = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._commits = 0

    def stop_at(self, commits: int) -> None:
        self.paused.clear()
        self.resumed.clear()
        self._commits, self.pause_at = 0, commits

    def commit(self, operations: Sequence[Put | Delete], expect: Sequence[Expect] = ()) -> int:
        with self._lock:
            self._commits += 1
            stopped = self._commits > self.pause_at
        if stopped:
            self.paused.set()
            assert self.resumed.wait(30)
        return super().commit(operations, expect)


@pytest.mark.parametrize("independent", [False, True], ids=["in order", "at the same time"])
def test_fifty_times_nothing_that_a_paused_leader_had_in_hand_lands(etcd_endpoint: str, *, independent: bool) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    old_store, new_store = Pausing(etcd_endpoint), EtcdStore(EtcdChannels([etcd_endpoint]))
    mirror = Mirror(new_store, "/")
    mirror.start()
    with ThreadPoolExecutor(1) as threads:
        for number in range(ROUNDS // 2):
            old_store.stop_at(MOST_OPERATIONS)
            old, new = Election(old_store, "old", lambda: None), Election(new_store, "new", lambda: None)
            eventually(lambda old=old: old.cycle() or old.term(), 30)  # type: ignore[misc]
            term = old.term()
            assert term is not None
            work = [
                Change((Put(f"/work/{number}/{index}", b"old"),)) for index in range(BATCHES * MOST_OPERATIONS - 50)
            ]
            old_store.stop_at(chance.randrange(BATCHES))
            writing = threads.submit(commit_as_leader, old_store, mirror, term, work, independent=independent)
            assert old_store.paused.wait(30)
            new_store.revoke(old._lease)  # what the passing of time does
            eventually(lambda new=new: new.cycle() or new.term(), 30)  # type: ignore[misc]
            before = new_store.list(f"/work/{number}/")
            led = new.term()
            assert led is not None
            old_store.resumed.set()
            with pytest.raises(Conflict):
                writing.result(30)
            late = [e for e in new_store.list(f"/work/{number}/").entries if e.revision > led.revision]
            assert not late, f"round {number}: {len(late)} writes of a leader that led no more"
            assert len(before.entries) < len(work)
            old.cycle()
            assert old.term() is None
            new.stop()
    mirror.stop()
    old_store.close()
    new_store.close()


def test_a_process_that_is_stopped_past_its_lease_writes_nothing_when_it_goes_on(etcd_endpoint: str) -> None:
    store = EtcdStore(EtcdChannels([etcd_endpoint]))
    for _ in range(2):
        command = [sys.executable, "-c", _LEADER, etcd_endpoint]
        with subprocess.Popen(command, cwd=_SOURCE, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout and process.stdout.readline() == "leads\n"
                eventually(lambda: store.get("/work"), 30)
                process.send_signal(signal.SIGSTOP)
                eventually(lambda: store.get(keys.LEADER) is None, 30)
                new = Election(store, "new", lambda: None)
                new.cycle()
                term = new.term()
                assert term is not None
                process.send_signal(signal.SIGCONT)
                said = [line.strip() for line in process.stdout]
            finally:
                process.kill()
        assert said[-1] == "Conflict"
        last = store.get("/work")
        assert last is not None and last.revision < term.revision
        new.stop()
    store.close()
