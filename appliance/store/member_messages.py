"""etcd's messages about its members (etcd 3.5, api/etcdserverpb/rpc.proto), which know of learners and of room in use.

Those of the `etcd3` package are older than that. Only the fields that we use are described; protobuf skips others.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "appliance.etcd"
_Field = descriptor_pb2.FieldDescriptorProto
_NUMBER, _TEXT, _FLAG = _Field.TYPE_UINT64, _Field.TYPE_STRING, _Field.TYPE_BOOL
_ONE, _MANY = _Field.LABEL_OPTIONAL, _Field.LABEL_REPEATED

_MESSAGES: dict[str, dict[str, tuple[int, Any, Any]]] = {
    "Member": {
        "ID": (1, _NUMBER, _ONE),
        "name": (2, _TEXT, _ONE),
        "peerURLs": (3, _TEXT, _MANY),
        "clientURLs": (4, _TEXT, _MANY),
        "isLearner": (5, _FLAG, _ONE),
    },
    "MemberAddRequest": {"peerURLs": (1, _TEXT, _MANY), "isLearner": (2, _FLAG, _ONE)},
    "MemberAddResponse": {"member": (2, "Member", _ONE)},
    "MemberChange": {"ID": (1, _NUMBER, _ONE), "peerURLs": (2, _TEXT, _MANY)},
    "MemberList": {"members": (2, "Member", _MANY)},
    "Empty": {},
    "Header": {"revision": (3, _NUMBER, _ONE)},
    "Status": {
        "header": (1, "Header", _ONE),
        "dbSize": (3, _NUMBER, _ONE),
        "leader": (4, _NUMBER, _ONE),
        "errors": (8, _TEXT, _MANY),
        "dbSizeInUse": (9, _NUMBER, _ONE),
    },
}
"""Message → field → (its number, its type, how many)."""


def _described() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="appliance/etcd_members.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, label) in fields.items():
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                added.type = kind
    return file


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_described())


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


MemberAddRequest = _class("MemberAddRequest")
MemberAddResponse = _class("MemberAddResponse")
MemberChange = _class("MemberChange")
"""A request that names a member: to remove, promote or update it."""
MemberList = _class("MemberList")
"""What every change of the members is answered with, and the list itself."""
Empty = _class("Empty")
Status = _class("Status")
