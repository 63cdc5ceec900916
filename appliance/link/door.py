"""Where a node lets managers in: makes its ends of connections, with the keys and the authorities of the moment.

asyncssh would judge a manager's certificate by this node's clock; here `admission` does. New keys are for new
connections; those that are there stay, unless whoever is at the other end would not be let in any more.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncssh
from asyncssh.connection import SSHConnection
from asyncssh.public_key import SSHKey, SSHOpenSSHCertificate

from appliance.link.admission import why_no_manager
from appliance.link.seldom import Seldom
from appliance.link.session import ALGORITHMS
from appliance.security.ssh import LinkCertificate, read_certificate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NodeKeys:
    """This node's key and certificate, and whom it believes. Text in OpenSSH's form; `revoked`: fingerprints."""

    authorities: tuple[str, ...]
    key: str
    certificate: str
    revoked: frozenset[str] = frozenset()


class NodeConnection(asyncssh.SSHServerConnection):
    """This node's end of one connection. `manager`: who has proved who it is, None before."""

    manager: LinkCertificate | None = None
    why_not: Callable[[LinkCertificate], str]
    refusals: Seldom

    async def _validate_openssh_certificate(self, username: str, cert: SSHOpenSSHCertificate) -> SSHKey | None:
        try:
            certificate = read_certificate(cert.export_certificate().decode())
            why = self.why_not(certificate) if certificate.name == username else "it gives another name than its own"
        except ValueError as error:
            why = str(error)
        if why:
            if self.refusals.is_news(f"{username}: {why}"):
                log.warning("refused a manager that calls itself %s: %s", username, why)
            return None
        self.manager = certificate
        self._cert_options = cert.options
        return cert.key


class Door:
    """Used on the link's loop, `use` from any thread. `owner` makes what allows or forbids things on a connection."""

    def __init__(
        self, keys: NodeKeys, owner: Callable[[], asyncssh.SSHServer], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._owner = owner
        self._loop = loop
        self._heard: dict[str, tuple[float, float]] = {}
        self._refusals = Seldom()
        self._open: set[NodeConnection] = set()
        self._take(keys)

    def use(self, keys: NodeKeys) -> None:
        self._loop.call_soon_threadsafe(self._take, keys)

    def heard(self, manager: str, clock: float) -> None:
        """What a manager has just said that its clock shows, in seconds since the epoch."""
        self._heard[manager] = clock, _steady()

    async def listen(self, host: str, port: int) -> asyncio.Server:
        """Raises OSError when the port is taken."""
        return await self._loop.create_server(self._made, host, port)

    async def reach(self, host: str, port: int) -> NodeConnection:
        """A connection to a manager that has proved who it is. Raises OSError or asyncssh.Error."""
        done: asyncio.Future[None] = self._loop.create_future()

        def failed(connection: SSHConnection, error: Exception | None) -> None:
            if not done.done():
                done.set_exception(error or ConnectionError("the manager ended the connection"))

        def settled(connection: SSHConnection) -> None:
            if not done.done():
                done.set_result(None)

        _, connection = await self._loop.create_connection(lambda: self._made(settled, failed), host, port)
        try:
            await done
        except BaseException:
            connection.abort()
            raise
        return connection

    def _take(self, keys: NodeKeys) -> None:
        self._keys = keys
        self._issued = read_certificate(keys.certificate).validity.issued
        self._options = _options(keys, self._owner)
        for connection in self._open:
            if connection.manager is not None and (why := self._why_not(connection.manager, at_all=False)):
                log.warning("the link to manager %s is ended: %s", connection.manager.name, why)
                connection.abort()

    def _made(self, acceptor: Any = None, error_handler: Any = None) -> NodeConnection:
        connection = NodeConnection(self._loop, self._options, acceptor, error_handler)
        connection.why_not = self._why_not
        connection.refusals = self._refusals
        self._open.add(connection)
        closed = self._loop.create_task(connection.wait_closed())
        closed.add_done_callback(lambda _: self._open.discard(connection))
        return connection

    def _why_not(self, certificate: LinkCertificate, *, at_all: bool = True) -> str:
        """`at_all` False: whether it has expired does not count, for one that is in."""
        moment = self._moment(certificate.name) if at_all else 0.0
        return why_no_manager(certificate, self._keys.authorities, self._keys.revoked, moment)

    def _moment(self, manager: str) -> float:
        """What time it is at least: a clock that is ahead, here or there, must not end a link."""
        clock, at = self._heard.get(manager, (self._issued, _steady()))
        return min(time.time(), clock + _steady() - at)


def _options(keys: NodeKeys, owner: Callable[[], asyncssh.SSHServer]) -> asyncssh.SSHServerConnectionOptions:
    return asyncssh.SSHServerConnectionOptions(
        server_factory=owner,
        server_host_keys=[(asyncssh.import_private_key(keys.key), asyncssh.import_certificate(keys.certificate))],
        authorized_client_keys=None,
        agent_forwarding=False,
        x11_forwarding=False,
        line_editor=False,
        allow_scp=False,
        **ALGORITHMS,
    )


def _steady() -> float:
    """Neither steps nor whoever keeps the clock right change its pace."""
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
