"""Names by which the parts of one file call each other: ``db`` there is ``db.SERVICE`` here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.spec.foreign import Part

_TELLS_A_HOST = re.compile(r"(HOST|SERVER|ADDR|ADDRESS|ENDPOINT|URL|URI|HOSTNAME|BROKER|NODE|MASTER|PROXY)S?(_|\d|$)")
_TELLS_A_FLAG = re.compile(r"-{1,2}[a-z-]*(host|server|addr|address|endpoint|url)|-h")


@dataclass(frozen=True)
class Peer:
    """`host`: the name here. `ports`: those that were others there → here."""

    host: str
    ports: Mapping[int, int] = field(default_factory=dict)


class PeerNames:
    """Puts the names of this cluster where a text clearly names a peer as a host, and says so."""

    def __init__(self, peers: Mapping[str, Peer]) -> None:
        self._peers = dict(peers)
        names = "|".join(re.escape(name) for name in sorted(peers, key=len, reverse=True))
        # The host of a URL, NAME:PORT, or host=NAME as in a database's connection string.
        self._clear = re.compile(
            rf"(?P<before>://(?:[^/\s@]*@)?|\bhost=)(?P<name>{names})(?::(?P<port>\d+))?(?![\w.:-])"
            rf"|(?P<start>^|(?<=[\s,;=@]))(?P<pair>{names}):(?P<number>\d+)(?![\w.:])"
        )

    def env(self, name: str, text: str, part: Part, *below: str | int) -> str:
        """The text of the variable `name`, which stands in `part`."""
        if text in self._peers and _TELLS_A_HOST.search(name.upper()):
            part.note(f"{text} is called {self._peers[text].host} here; changed", *below)
            return self._peers[text].host
        return self.text(text, part, *below)

    def words(self, words: list[str], part: Part, *below: str | int) -> list[str]:
        """A command."""
        changed = [self.text(word, part, *below) for word in words]
        for before, word in zip(["", *words], words, strict=False):
            if word in self._peers and before:
                doubt = "" if _TELLS_A_FLAG.fullmatch(before) else "if this means a host: "
                part.note(f"{doubt}{word} is called {self._peers[word].host} here; not changed, write that", *below)
        return changed

    def text(self, text: str, part: Part, *below: str | int) -> str:
        """Any text: where names are clearly hosts they are changed."""
        if not self._peers:
            return text
        found: dict[str, str] = {}

        def replace(match: re.Match[str]) -> str:
            name, port = match["name"] or match["pair"], match["port"] or match["number"]
            peer = self._peers[name]
            number = peer.ports.get(int(port), int(port)) if port else None
            ours = f"{peer.host}:{number}" if port else peer.host
            found[f"{name}:{port}" if port else name] = ours
            return f"{match['before'] or ''}{ours}"

        changed = self._clear.sub(replace, text)
        for theirs, ours in found.items():
            part.note(f"{theirs} is called {ours} here; changed", *below)
        return changed
