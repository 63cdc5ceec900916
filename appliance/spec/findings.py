"""What is wrong with one document of a service file, each with its place."""

from appliance.errors import Problem
from appliance.spec.yaml_text import Document, Path

MOST_PROBLEMS = 100


class Findings:
    """Collects problems; a reader adds to it and goes on."""

    def __init__(self, document: Document, file: str) -> None:
        self._document = document
        self._file = file
        self._problems: list[Problem] = []
        self._count = 0

    def add(self, path: Path, message: str) -> None:
        self._count += 1
        if self._count <= MOST_PROBLEMS:
            dotted = ".".join(str(step)[:100] for step in path)
            self._problems.append(Problem(message, dotted, self._file, self._document.line(path)))

    @property
    def problems(self) -> list[Problem]:
        """In the order of the lines; of very many the first only."""
        found = sorted(self._problems, key=lambda problem: problem.line)
        if self._count > MOST_PROBLEMS:
            found.append(Problem(f"there are {self._count - MOST_PROBLEMS} problems more", file=self._file))
        return found
