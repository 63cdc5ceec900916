"""A load generator: clients that ask for one page all the time and count what became of each request.

Run as a program on a lab host, ``load_clients.py ADDRESS HOST CLIENTS``, by any Python and without a package. SIGTERM
ends it, and it prints its counts. A client that keeps its connection does as RFC 9110, 9.2.2 has it: a request on a
connection that was used before, which ends without a byte of an answer, is sent once more on a new one. These are
counted apart.
"""

import http.client
import json
import signal
import sys
import threading
import time
from collections import Counter


def _main(address: str, name: str, clients: int) -> None:
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    counts: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    threads = [
        threading.Thread(target=_client, args=(address, name, keeps, ending, counts, errors))
        for keeps in (False, True)
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    while not ending.wait(0.2):
        pass
    for thread in threads:
        thread.join()
    print(json.dumps({"requests": counts["requests"], "again": counts["again"], "errors": dict(errors)}))


def _client(
    address: str, name: str, keeps: bool, ending: threading.Event, counts: Counter[str], errors: Counter[str]
) -> None:
    connection, used = _connect(address), False
    while not ending.is_set():
        counts["requests"] += 1
        try:
            try:
                status = _ask(connection, name, keeps)
            except (http.client.RemoteDisconnected, ConnectionError):
                if not used:
                    raise
                counts["again"] += 1
                connection = _connect(address)
                status = _ask(connection, name, keeps)
            if status != 200:
                errors[f"status {status}"] += 1
            used = keeps
        except (OSError, http.client.HTTPException) as error:
            errors[f"{'kept' if keeps else 'new'}: {error!r}"] += 1
            used = False
        if not used:
            connection.close()
            connection = _connect(address)
        time.sleep(0.002)


def _connect(address: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(address, 80, timeout=10)


def _ask(connection: http.client.HTTPConnection, name: str, keeps: bool) -> int:
    connection.request("GET", "/", headers={"Host": name} | ({} if keeps else {"Connection": "close"}))
    answer = connection.getresponse()
    answer.read()
    return answer.status


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
