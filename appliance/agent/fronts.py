"""Whether this node serves what a virtual address leads to: asked by its agent, on the node itself."""

import http.client
import socket
import ssl

ANSWER_WITHIN = 1.0
"""Seconds. A node that takes longer is no help to those who come by the address."""


def entry_serves(port: int) -> bool:
    """Whether the entry's nginx answers. What is asked is no request, so that nginx itself answers and no service."""
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_WITHIN) as connection:
            connection.sendall(b"?\r\n\r\n")
            return bool(connection.recv(1))
    except OSError:
        return False


def manager_serves(port: int) -> bool:
    """Whether this node's manager answers through its nginx. The certificate says nothing that matters here."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return manager_answers("127.0.0.1", port, context, ANSWER_WITHIN)


def manager_answers(address: str, port: int, context: ssl.SSLContext, seconds: float) -> bool:
    """Whether a manager answers there, and not only the nginx in front of it."""
    connection = http.client.HTTPSConnection(address, port, timeout=seconds, context=context)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
