#!/usr/bin/env python3
"""A stock gRPC client that knows the contract by reflection alone.

It publishes a small definition, submits a run, watches it to its end, cuts the watch in the middle
and resumes it, and checks that a wrong key, a wrong id and a wrong body are told as errors that a
program can read. No generated code of ours.

    tests/peers/grpc_by_reflection.py HOST:PORT [KEY]

The key may also stand in MESH_API_KEY. Prints one line per check and ends with 0 when all hold.
"""

import os
import sys
import uuid

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import code_pb2  # noqa: F401  (comes with grpcio-status)
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

DEFINITION = """
name: peer-check
title: What a stock client submits
inputSchema:
  type: object
  required: [text]
  properties: { text: { type: string } }
steps:
  - id: hear
    signal: { name: go }
  - id: say
    needs: [hear]
    skill: text.echo
    with: { text: '${ input.text }' }
"""


class Peer:
    """Calls methods by name, with messages made from dictionaries."""

    def __init__(self, target, key):
        self.channel = grpc.insecure_channel(target)
        self.metadata = [("authorization", f"Bearer {key}")] if key else []
        self.reflection = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.reflection)

    def services(self):
        return sorted(self.reflection.get_services())

    def _method(self, path):
        service, name = path.rsplit("/", 1)
        found = self.pool.FindServiceByName(service).methods_by_name[name]
        return found, message_factory.GetMessageClass(found.output_type)

    def _request(self, found, fields):
        message = message_factory.GetMessageClass(found.input_type)()
        return json_format.ParseDict(fields, message, descriptor_pool=self.pool)

    def call(self, path, fields):
        found, answer = self._method(path)
        stub = self.channel.unary_unary(
            f"/{path}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        told = stub(self._request(found, fields), metadata=self.metadata, timeout=30)
        return json_format.MessageToDict(told, descriptor_pool=self.pool)

    def stream(self, path, fields):
        found, answer = self._method(path)
        stub = self.channel.unary_stream(
            f"/{path}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return stub(self._request(found, fields), metadata=self.metadata, timeout=60)

    def read(self, message):
        return json_format.MessageToDict(message, descriptor_pool=self.pool)


WORKFLOWS = "mesh.v1.WorkflowService"


def check(what, holds, seen=""):
    print(f"{'ok' if holds else 'FAILED'}: {what}{'' if holds else f': {seen}'}")
    if not holds:
        sys.exit(1)


def refused(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    return None


def events(peer, stream):
    """Pairs of cursor and event, without words about the stream itself."""
    for message in stream:
        told = peer.read(message)
        if "event" in told:
            yield told["cursor"], told["event"]


def check_reflection(peer):
    services = peer.services()
    for expected in (
        "grpc.health.v1.Health",
        "mesh.v1.ApprovalService",
        "mesh.v1.BlueprintService",
        "mesh.v1.DeadLetterService",
        "mesh.v1.TelemetryService",
        "mesh.v1.TenantService",
        WORKFLOWS,
    ):
        check(f"reflection tells of {expected}", expected in services, services)
    health = Peer.call(peer, "grpc.health.v1.Health/Check", {"service": WORKFLOWS})
    check("health says that it serves", health.get("status") == "SERVING", health)


def check_run(peer):
    published = peer.call(f"{WORKFLOWS}/PublishDefinition", {"source": {"text": DEFINITION}})
    check("a definition is published", published["definition"]["name"] == "peer-check", published)

    request = {"definition": "peer-check", "requestId": f"peer-{uuid.uuid4()}", "input": {"text": "hello"}}
    submitted = peer.call(f"{WORKFLOWS}/SubmitRun", request)
    run = submitted["run"]["runId"]
    again = peer.call(f"{WORKFLOWS}/SubmitRun", request)
    check("the same request answers with the same run", again["run"]["runId"] == run and again["repeated"], again)
    other = dict(request, input={"text": "something else"})
    error = refused(lambda: peer.call(f"{WORKFLOWS}/SubmitRun", other))
    check("another body is refused", error and error.code() == grpc.StatusCode.ALREADY_EXISTS, error)

    # The first half of the watch, cut while the run waits for its signal.
    seen = []
    stream = peer.stream(f"{WORKFLOWS}/WatchRuns", {"runId": run})
    for cursor, event in events(peer, stream):
        seen.append((cursor, event))
        if event["eventType"] == "SignalAwaited":
            break
    stream.cancel()
    check("the watch shows the run as it waits", seen[-1][1]["eventType"] == "SignalAwaited", seen)

    peer.call(f"{WORKFLOWS}/SignalRun", {"runId": run, "name": "go", "payload": {"by": "peer"}})
    resumed = list(events(peer, peer.stream(f"{WORKFLOWS}/WatchRuns", {"runId": run, "cursor": seen[-1][0]})))
    versions = [int(event["version"]) for _, event in seen + resumed]
    check("no event is lost or doubled", versions == list(range(1, len(versions) + 1)), versions)
    check("the run succeeded", resumed[-1][1]["eventType"] == "RunSucceeded", resumed[-1])

    # From every event of the way the rest is the same.
    for index, (cursor, _) in enumerate(seen + resumed):
        rest = events(peer, peer.stream(f"{WORKFLOWS}/WatchRuns", {"runId": run, "cursor": cursor}))
        check(f"resuming behind event {index + 1}", [int(e["version"]) for _, e in rest] == versions[index + 1 :])

    got = peer.call(f"{WORKFLOWS}/GetRun", {"runId": run})["run"]
    check("the run is read as succeeded", got["state"] == "RUN_STATE_SUCCEEDED", got)
    listed = peer.call(f"{WORKFLOWS}/ListRuns", {"minPosition": submitted["position"], "filter": 'definition = "peer-check"'})
    check("the list shows it", run in [row["runId"] for row in listed["runs"]], listed)


def check_errors(peer, target):
    error = refused(lambda: peer.call(f"{WORKFLOWS}/GetRun", {"runId": "run-nobody"}))
    check("an unknown run is not found", error and error.code() == grpc.StatusCode.NOT_FOUND, error)

    error = refused(lambda: peer.call(f"{WORKFLOWS}/ListRuns", {"filter": "colour = RED"}))
    check("a wrong filter is an invalid argument", error and error.code() == grpc.StatusCode.INVALID_ARGUMENT, error)
    kinds = [detail.type_url.rsplit(".", 1)[-1] for detail in rpc_status.from_call(error).details]
    check("its details name the field", "BadRequest" in kinds and "ErrorInfo" in kinds, kinds)

    for key in ("", "wrong"):
        error = refused(lambda key=key: Peer(target, key).call(f"{WORKFLOWS}/ListRuns", {}))
        check(
            f"{'a wrong' if key else 'no'} key is refused",
            error and error.code() == grpc.StatusCode.UNAUTHENTICATED,
            error,
        )


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    target = sys.argv[1].removeprefix("http://")
    key = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("MESH_API_KEY", "")
    peer = Peer(target, key)
    check_reflection(peer)
    check_run(peer)
    check_errors(peer, target)
    print("a stock client can submit and watch by reflection alone")


if __name__ == "__main__":
    main()
