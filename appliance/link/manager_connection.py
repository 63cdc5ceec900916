"""The manager's end of one connection: who is at the other end, the sessions opened on it, and the registry."""

import asyncio
import base64
import logging
import os
from collections.abc import Callable
from typing import Literal

import asyncssh
from asyncssh.public_key import SSHOpenSSHCertificate

from appliance.errors import LinkDown
from appliance.link.dialling import PATIENCE
from appliance.link.session import ALGORITHMS, HEARTBEAT, HOST_CERTIFICATE, Stream
from appliance.model.cluster import REGISTRY_PORT
from appliance.security.ssh import LinkCertificate, read_certificate

log = logging.getLogger(__name__)


class Channel(Stream, asyncssh.SSHClientSession[bytes]):
    """A command or a log on a node. Used on the link's loop."""

    async def read(self) -> tuple[Literal["stdout", "stderr"], bytes] | None:
        """The next piece; None at the end. Raises what the node says went wrong, or LinkDown."""
        piece = await self.receive()
        if piece is not None:
            return ("stderr" if piece[0] else "stdout"), piece[1]
        await self._channel.wait_closed()
        if self._error is not None:
            raise self._error
        return None

    async def write(self, data: bytes) -> None:
        await self.send(data)

    async def close_input(self) -> None:
        self._channel.write_eof()

    def resize(self, rows: int, columns: int) -> None:
        self._channel.change_terminal_size(columns, rows)

    def exit_code(self) -> int:
        """Valid after `read` returned None; 0 for a log."""
        return self._status or 0


class ManagerConnection(asyncssh.SSHClientConnection):
    """Takes the node's id from its host certificate, whatever address it came from."""

    certificate: LinkCertificate | None = None
    why_not: Callable[[LinkCertificate], str]

    @property
    def node_id(self) -> str:
        """ "" before it has proved who it is."""
        return self.certificate.name if self.certificate else ""

    def validate_server_host_key(self, key_data: bytes) -> asyncssh.SSHKey:
        # asyncssh would want the certificate's principal to be the address we dialled or were dialled from.
        try:
            certificate = read_certificate(f"{HOST_CERTIFICATE} {base64.b64encode(key_data).decode()}")
            if why := self.why_not(certificate):
                raise ValueError(f"{certificate.name}: {why}")
        except ValueError as error:
            raise asyncssh.HostKeyNotVerifiable(f"Not a node of this cluster: {error}") from None
        self.certificate = certificate
        return super().validate_server_host_key(key_data)


async def open_session(connection: ManagerConnection, command: str) -> Channel:
    """Raises LinkDown."""
    try:
        async with asyncio.timeout(PATIENCE):
            _, channel = await connection.create_session(Channel, command, encoding=None)
    except (asyncssh.Error, OSError) as error:
        raise LinkDown("The node did not open a session.", where=connection.node_id, why=str(error)) from error
    assert isinstance(channel, Channel)
    return channel


async def forward_registry(connection: ManagerConnection) -> None:
    """Let the node's engine find the registry on its own loopback, until cancelled; tried again while something else
    has the port."""
    failure = ""
    while True:
        try:
            async with await connection.forward_remote_port("127.0.0.1", REGISTRY_PORT, "127.0.0.1", REGISTRY_PORT):
                await connection.wait_closed()
            return
        except (asyncssh.Error, asyncssh.ChannelListenError) as error:
            if not failure:
                failure = str(error)
                log.warning("%s: the registry's port is not forwarded: %s; trying again", connection.node_id, error)
        await asyncio.sleep(HEARTBEAT)


def client_options(key: str, certificates: tuple[str, ...]) -> asyncssh.SSHClientConnectionOptions:
    """Of a manager with these, as text in OpenSSH's form; one certificate is shown after the other."""
    own, private = [asyncssh.import_certificate(text) for text in certificates], asyncssh.import_private_key(key)
    assert isinstance(own[0], SSHOpenSSHCertificate)
    # asyncssh asks for the name of the user even though one is given, and a bare host may not know it.
    os.environ.setdefault("LOGNAME", "root")
    return asyncssh.SSHClientConnectionOptions(
        username=own[0].principals[0],
        client_keys=[(private, certificate) for certificate in own],
        known_hosts=None,  # ManagerConnection checks the certificate
        server_host_key_algs=[HOST_CERTIFICATE],
        preferred_auth="publickey",
        agent_path=None,
        agent_forwarding=False,
        x11_forwarding=False,
        **ALGORITHMS,
    )
