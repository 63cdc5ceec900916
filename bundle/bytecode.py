"""Compiles Python sources ahead, so that neither the first start nor any later one spends time on it.

Run as a program by the Python that will load the result: `python bytecode.py TREE` puts `__pycache__` folders into
TREE. The files are of the unchecked-hash kind (PEP 552): they are valid whatever the time stamps of the sources are.
"""

import marshal
import py_compile
import sys
from pathlib import Path

_HEADER = 16
"""Bytes before the code in a .pyc file (PEP 552)."""


def compile_tree(tree: Path) -> int:
    """Compile every source below `tree` that compiles, in sorted order; returns how many did."""
    count = 0
    for source in sorted(tree.rglob("*.py")):
        name = str(source.relative_to(tree))
        try:
            made = py_compile.compile(
                str(source),
                dfile=name,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except (py_compile.PyCompileError, UnicodeDecodeError):
            continue  # templates and tests of other Python versions; importing them would fail all the same
        assert made is not None
        _make_canonical(Path(made))
        count += 1
    return count


def _make_canonical(path: Path) -> None:
    """Write the code once more as it comes out of reading it.

    marshal marks objects that something else refers to at that moment, so a file depends on what the compiler still
    held; after reading, only the references within the code are left.
    """
    content = path.read_bytes()
    code = marshal.loads(content[_HEADER:])
    path.write_bytes(content[:_HEADER] + marshal.dumps(code))


if __name__ == "__main__":
    compile_tree(Path(sys.argv[1]))
