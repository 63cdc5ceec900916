"""Compiles Python sources ahead, so that neither the first start nor any later one spends time on it.

Run as a program by the Python that will load the result: `python bytecode.py TREE` puts `__pycache__` folders into
TREE. The files are of the unchecked-hash kind (PEP 552): they are valid whatever the time stamps of the sources are.
"""

import ast
import marshal
import py_compile
import sys
from pathlib import Path
from types import CodeType
from typing import Any

_CODE_PARTS = (
    "co_cellvars",
    "co_consts",
    "co_exceptiontable",
    "co_filename",
    "co_freevars",
    "co_linetable",
    "co_name",
    "co_names",
    "co_qualname",
    "co_varnames",
)
_OURS = "appliance/"
"""Where functions keep their docstrings: they are the help of commands."""
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
        _make_canonical(Path(made), None if name.startswith(_OURS) else undocumented(source.read_bytes(), name))
        count += 1
    return count


def undocumented(source: bytes, name: str) -> CodeType:
    """The code without the docstrings of functions: they are a megabyte in every process, and nobody reads them there.
    Modules and classes keep theirs, with which some packages compute."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.copy_location(ast.Pass(), node.body[0])
    return compile(tree, name, "exec", dont_inherit=True)


def _make_canonical(path: Path, code: CodeType | None) -> None:
    """Rewrite a compiled file, or with another `code`, so that it depends on nothing but its code.

    marshal writes an equal object a second time or refers back to the first, and marks objects, by identity and
    reference counts at that moment, which differ from run to run.
    """
    content = path.read_bytes()
    seen: dict[Any, Any] = {}
    code = canonical(code or marshal.loads(content[_HEADER:]), seen)
    path.write_bytes(content[:_HEADER] + marshal.dumps(code))


def canonical(value: Any, seen: dict[Any, Any]) -> Any:
    """`value` with equal constants made one object, which `seen` keeps; code objects are rebuilt around them."""
    if isinstance(value, CodeType):
        parts = {name: canonical(getattr(value, name), seen) for name in _CODE_PARTS}
        return value.replace(**parts)
    if isinstance(value, tuple):
        items = tuple(canonical(item, seen) for item in value)
        return seen.setdefault((tuple, tuple(map(id, items))), items)
    if isinstance(value, frozenset):
        members = frozenset(canonical(item, seen) for item in value)
        return seen.setdefault((frozenset, frozenset(map(id, members))), members)
    if isinstance(value, str):
        return seen.setdefault((str, value), sys.intern(value) if _is_name(value) else _fresh(value))
    return seen.setdefault((type(value), repr(value)), value)


def _is_name(text: str) -> bool:
    """Whether the compiler interns such a constant: letters, digits and underscores only."""
    return text.isascii() and text.replace("_", "a").isalnum()


def _fresh(text: str) -> str:
    """A copy that nobody has interned."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")


if __name__ == "__main__":
    compile_tree(Path(sys.argv[1]))
