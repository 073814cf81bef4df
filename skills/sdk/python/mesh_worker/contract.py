"""The contract as the node tells it by reflection, and values on their way."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

#: Bytes of one message: as much as the node takes and gives.
MESSAGE_BYTES_MAX = 32 * 1024 * 1024

OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 20_000),
]


class Contract:
    """The messages of ``mesh.v1``, and its methods over one channel."""

    def __init__(self, channel: grpc.Channel, key: str) -> None:
        self._channel = channel
        self._metadata = [("authorization", f"Bearer {key}")]
        self._pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        # The services' files bring all messages with them.
        for service in ("SkillService", "WorkerService"):
            self._pool.FindServiceByName(f"mesh.v1.{service}")

    def message(self, name: str, **fields: Any) -> Any:
        """A message of the contract."""
        found = self._pool.FindMessageTypeByName(f"mesh.v1.{name}")
        return message_factory.GetMessageClass(found)(**fields)

    def read(self, name: str, message: bytes) -> Any:
        """A message of the contract from its bytes."""
        read = self.message(name)
        read.ParseFromString(message)
        return read

    def unary(self, path: str, request: Message) -> Message:
        """Calls a method that answers once."""
        answer = self._answer(path)
        call = self._channel.unary_unary(
            f"/mesh.v1.{path}", request_serializer=_to_bytes, response_deserializer=answer.FromString
        )
        return call(request, metadata=self._metadata, timeout=30)

    def stream(self, path: str, requests: Any) -> Any:
        """Calls a method with streams both ways."""
        answer = self._answer(path)
        call = self._channel.stream_stream(
            f"/mesh.v1.{path}", request_serializer=_to_bytes, response_deserializer=answer.FromString
        )
        return call(requests, metadata=self._metadata)

    def _answer(self, path: str) -> Any:
        service, method = path.split("/")
        found = self._pool.FindServiceByName(f"mesh.v1.{service}").methods_by_name[method]
        return message_factory.GetMessageClass(found.output_type)


def _to_bytes(message: Message) -> bytes:
    return message.SerializeToString()


def fill(to: Any, value: Any) -> None:
    """Puts a value that JSON can say into a ``google.protobuf.Value``."""
    if value is None:
        to.null_value = 0
    elif isinstance(value, bool):
        to.bool_value = value
    elif isinstance(value, (int, float)):
        to.number_value = value
    elif isinstance(value, str):
        to.string_value = value
    elif isinstance(value, dict):
        to.struct_value.SetInParent()
        for name, part in value.items():
            if not isinstance(name, str):
                raise TypeError(f"a name in JSON is a text, not {name!r}")
            fill(to.struct_value.fields[name], part)
    elif isinstance(value, (list, tuple)):
        to.list_value.SetInParent()
        for part in value:
            fill(to.list_value.values.add(), part)
    else:
        raise TypeError(f"JSON cannot say {type(value).__name__}: return dicts, lists, texts, numbers, True, False, None")


def plain(value: Any) -> Any:
    """What a ``google.protobuf.Value`` says. A number that is whole becomes an ``int``."""
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    if kind == "struct_value":
        return {name: plain(part) for name, part in value.struct_value.fields.items()}
    if kind == "list_value":
        return [plain(part) for part in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)
