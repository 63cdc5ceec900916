"""etcd's gRPC messages and stubs, from the `etcd3` package.

The package's generated modules are older than protobuf 4 allows. Each of them carries the descriptor that it was
generated from; from that, protobuf's own builder makes the same modules anew, which take the old ones' places before
the package is imported.
"""

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.internal import builder

_MODULES = ("kv_pb2", "auth_pb2", "rpc_pb2")
"""In the order in which they import each other."""


def _rebuild(name: str, folder: Path) -> ModuleType:
    source = (folder / f"{name}.py").read_text()
    found = re.search(r"serialized_pb=_b\(('.*')\)", source)
    assert found is not None, f"etcd3's {name} holds no descriptor"
    serialized = ast.literal_eval(found.group(1)).encode("latin1")
    module = ModuleType(f"etcd3.etcdrpc.{name}")
    described = descriptor_pool.Default().AddSerializedFile(serialized)
    module.__dict__["DESCRIPTOR"] = described
    builder.BuildMessageAndEnumDescriptors(described, module.__dict__)
    builder.BuildTopDescriptorsAndMessages(described, module.__name__, module.__dict__)
    return module


def _install() -> None:
    spec = importlib.util.find_spec("etcd3")
    assert spec is not None and spec.origin is not None, "the package etcd3 is part of the product"
    folder = Path(spec.origin).parent / "etcdrpc"
    for name in _MODULES:
        module = _rebuild(name, folder)
        sys.modules[module.__name__] = module


_install()

from etcd3.etcdrpc import rpc_pb2, rpc_pb2_grpc  # type: ignore[import-untyped]  # noqa: E402

messages: Any = rpc_pb2
stubs: Any = rpc_pb2_grpc
