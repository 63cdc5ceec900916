"""Keeps this node's part in the virtual addresses: the keepalived sidecar, and no address left where it should not be.

Everything that it needs lies on the node's disk, so that a node that was cut off or rebooted goes on by itself.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from appliance.agent.configured import ConfiguredSidecar
from appliance.agent.standing import Standings
from appliance.host.files import write_if_changed
from appliance.loop import Loop
from appliance.model.decoding import decode
from appliance.model.instance import Assignment
from appliance.model.vip import PlacedVip, VipPlan

log = logging.getLogger(__name__)

LOOK_AGAIN = 0.3
"""Seconds between two looks at what addresses lead to, and at which are here."""
ASK_AGAIN = 0.1
"""Seconds until it is asked again after a bad answer."""

Make = Callable[[Sequence[PlacedVip]], tuple[Assignment, str]]
"""Addresses → the sidecar and the text of its configuration. Pure."""


class HostNetwork(Protocol):
    """What is to be known of, and done to, the host's addresses."""

    def place(self, plan: VipPlan) -> PlacedVip | None:
        """None where this node cannot hold it."""
        ...

    def guard(self, vips: Sequence[PlacedVip]) -> None:
        """Let the candidates of these addresses talk to each other, and nobody else into their talk."""
        ...

    def local(self) -> set[tuple[str, str]]:
        """(interface, address) of all that the host has."""
        ...

    def remove(self, vip: PlacedVip) -> None:
        """Take the address away; a missing one is no error."""
        ...


class VipKeeper:
    """A component. `folder` is its own on the node's disk. `down` says at no cost whether keepalived, which should run,
    does not; `held` is told which addresses are here, whenever that changes."""

    name = "vips"

    def __init__(
        self,
        sidecar: ConfiguredSidecar,
        instance: str,
        make: Make,
        host: HostNetwork,
        standings: Standings,
        folder: Path,
        down: Callable[[], bool],
        held: Callable[[tuple[str, ...]], None],
    ) -> None:
        self._sidecar = sidecar
        self._instance = instance
        self._make = make
        self._host = host
        self._standings = standings
        self._plans_file = folder / "plans.json"
        self._book = PlacedBook(folder)
        self._down = down
        self._held = held
        self._plans = self._read()
        self._placed: tuple[PlacedVip, ...] | None = None
        self._told: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self._keeping = Loop(self.name, self.cycle)
        self._looking = Loop("vip-looks", self.look, longest_backoff=1.0)

    def start(self) -> None:
        """Once it returns keepalived may start."""
        self._standings.prepare()
        self._keeping.start()
        self._looking.start()

    def stop(self) -> None:
        """Leaves keepalived and its addresses as they are."""
        self._keeping.stop()
        self._looking.stop()

    def update(self, plans: tuple[VipPlan, ...]) -> None:
        """A manager says what this node may hold. Returns at once."""
        with self._lock:
            self._plans = plans
        self._keeping.wake()

    def cycle(self) -> None:
        """Bring the sidecar to what it should be. Raises EngineError, ApplianceError, OSError."""
        with self._lock:
            plans = self._plans
        if plans is None:
            return
        write_if_changed(self._plans_file, msgspec.json.encode(plans))
        placed = tuple(vip for plan in plans if (vip := self._host.place(plan)) is not None)
        self._book.add(placed)
        self._host.guard(placed)
        if placed:
            self._sidecar.bring(*self._make(placed))
        else:
            self._sidecar.end(self._instance)
        self._placed = placed
        self._looking.wake()

    def look(self) -> float | None:
        """Ask what the addresses lead to, remove those that are left, tell which are here. Seconds until next time."""
        placed = self._placed
        if placed is None:
            return None
        answers = [self._standings.ask(front) for front in sorted({vip.front for vip in placed if vip.peers})]
        local = self._host.local()
        here = tuple(sorted({vip.address for vip in self._book.all() if _where(vip) in local}))
        if here != self._told:
            self._told = here
            self._held(here)
        self._clear(placed, local)
        if not placed and not self._book.all():
            return None
        return LOOK_AGAIN if all(answers) else ASK_AGAIN

    def _clear(self, placed: tuple[PlacedVip, ...], local: set[tuple[str, str]]) -> None:
        """keepalived takes addresses away when it ends or is told to let them go; a killed one does not."""
        kept = {_where(vip) for vip in placed}
        left = [vip for vip in self._book.all() if _where(vip) not in kept]
        if (self._down() or (left and not placed)) and not self._sidecar.runs(self._instance):
            self._remove([vip for vip in self._book.all() if _where(vip) in local])
        elif placed:
            self._remove([vip for vip in left if _where(vip) in local])
        for vip in left:
            if _where(vip) not in local:
                self._book.forget(vip)

    def _remove(self, vips: Sequence[PlacedVip]) -> None:
        for vip in vips:
            log.info("%s is taken off %s, where nobody keeps it any more", vip.address, vip.device)
            self._host.remove(vip)

    def _read(self) -> tuple[VipPlan, ...] | None:
        """None when the file is missing or damaged: a manager says it again."""
        try:
            return decode(self._plans_file.read_bytes(), tuple[VipPlan, ...])
        except FileNotFoundError:
            return None
        except ValueError as error:  # also UnicodeDecodeError, which is no MsgspecError
            log.error("%s does not parse (%s); waiting for a manager", self._plans_file, error)
            return None


def _where(vip: PlacedVip) -> tuple[str, str]:
    return vip.device, vip.address


class PlacedBook:
    """Every address that may be on an interface because of us, on the disk before it can be. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "placed.json"
        self._lock = threading.Lock()
        self._all: dict[tuple[str, str], PlacedVip] = {_where(vip): vip for vip in self._read()}

    def all(self) -> tuple[PlacedVip, ...]:
        with self._lock:
            return tuple(self._all.values())

    def add(self, vips: Sequence[PlacedVip]) -> None:
        with self._lock:
            self._all |= {_where(vip): vip for vip in vips}
            self._write()

    def forget(self, vip: PlacedVip) -> None:
        with self._lock:
            self._all.pop(_where(vip), None)
            self._write()

    def _write(self) -> None:
        if self._all or self._file.exists():
            write_if_changed(self._file, msgspec.json.encode(tuple(self._all.values())))

    def _read(self) -> tuple[PlacedVip, ...]:
        try:
            return decode(self._file.read_bytes(), tuple[PlacedVip, ...])
        except FileNotFoundError:
            return ()
        except ValueError as error:  # also UnicodeDecodeError, which is no MsgspecError
            log.error("%s does not parse (%s); addresses of before are not recognised", self._file, error)
            return ()
