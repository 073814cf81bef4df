#!/usr/bin/env python3
"""Skills in Python, as their author meets them: registered, called, wrong, cancelled, cut off and back.

    tests/peers/python_worker.py MESH        # the binary

Starts a node of its own, and the shipped example as a process. Prints one line per check.
"""

import atexit
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from mesh_worker import Call, Failure, Refused, Worker

MESH = sys.argv[1]
ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = tempfile.TemporaryDirectory()


def node(listen="127.0.0.1:0"):
    started = subprocess.Popen(
        [MESH, "up", "--data", DATA.name, "--listen", listen, "--output", "json"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"MESH_LOG_FILTER": "warn"},
    )
    return started, json.loads(started.stdout.readline())["grpc"]


def mesh(*arguments, code=0):
    ended = subprocess.run([MESH, "--data", DATA.name, *arguments], capture_output=True, text=True, timeout=120)
    assert ended.returncode == code, f"mesh {arguments}: {ended.returncode}: {ended.stdout}{ended.stderr}"
    return ended.stdout + ended.stderr


def had(skill, workers=1):
    for _ in range(600):
        ended = subprocess.run(
            [MESH, "--data", DATA.name, "skills", "describe", skill, "--output", "json"], capture_output=True, text=True
        )
        if ended.returncode == 0 and json.loads(ended.stdout).get("workers", 0) == workers:
            return
        time.sleep(0.05)
    raise AssertionError(f"{skill} is not had by {workers} workers")


class Cable:
    """A way to the node that can be cut."""

    def __init__(self, target):
        self.target, self.ends = target, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            host, port = self.target.removeprefix("http://").split(":")
            far = socket.create_connection((host, int(port)))
            self.ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    def carry(self, one, other):
        try:
            while part := one.recv(65536):
                other.sendall(part)
        except OSError:
            pass
        other.close()

    def cut(self):
        ends, self.ends = self.ends, []
        for end in ends:
            # One that has ended by itself is cut already.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mended(self):
        for _ in range(600):
            if self.ends:
                return
            time.sleep(0.05)
        raise AssertionError("nobody has dialled again")


def check(what):
    print(f"ok: {what}", flush=True)


def end_all():
    for process in (started, *others):
        process.kill()


others = []
atexit.register(end_all)
started, url = node()
key = pathlib.Path(DATA.name, "operator.key").read_text().strip()

example = subprocess.Popen(
    [sys.executable, str(ROOT / "skills/sdk/python/examples/shout.py"), url], env=os.environ | {"MESH_API_KEY": key}
)
others.append(example)
had("acme.shout")
assert json.loads(mesh("skills", "invoke", "acme.shout", "-i", "text=hello")) == {"text": "HELLO"}
assert '"text" is a required property' in mesh("skills", "invoke", "acme.shout", code=3)
example.send_signal(signal.SIGTERM)
assert example.wait(20) == 0
had("acme.shout", 0)
check("the example of the package does what its README says, and ends when it is told to")

begun_in = tempfile.TemporaryDirectory()
begun_here = pathlib.Path(begun_in.name) / "greet"
assert "worker.py" in mesh("skills", "new", "shop.greet", "--lang", "python", str(begun_here))
new = subprocess.Popen(
    [sys.executable, "worker.py", url],
    cwd=begun_here,
    env=os.environ | {"MESH_API_KEY": key, "PYTHONPATH": str(begun_here / "mesh-worker")},
)
others.append(new)
had("shop.greet")
assert json.loads(mesh("skills", "invoke", "shop.greet", "-i", "text=hello")) == {"text": "HELLO"}
new.send_signal(signal.SIGTERM)
assert new.wait(20) == 0
check("a skill that `mesh skills new` begins works as it is")

cable = Cable(url)
worker = Worker(cable.url, key, name="py", concurrency=4)
begun, gate, keys = threading.Event(), threading.Event(), []


@worker.skill("py.values", "1.0.0", examples=[("any", {"a": [1, 2.5, None, True, {"b": "ü"}]}, {"a": [1, 2.5, None, True, {"b": "ü"}]})])
def values(call: Call):
    """Gives back what it got."""
    call.progress(f"attempt {call.attempt} of {call.step}")
    return call.input


@worker.skill(
    "py.fails",
    "1.0.0",
    category="trials",
    needs=["network", "files"],
    hosts=["api.example.com"],
    reads=["in/**"],
    writes=["out/**"],
    ceiling="confidential",
    accepts="tainted",
    failures=[("py.down", "external", "It is down.")],
    concurrent_max=2,
    memory_max=1 << 20,
)
def fails(call: Call):
    """Fails as it is told."""
    if call.input.get("bug"):
        return {"a": object()}
    raise Failure.external("py.down", "not now", retry_after=0.05, details={"n": call.attempt})


@worker.skill("py.waits", "1.0.0", effect="at-least-once", within=60)
def waits(call: Call):
    """Waits until it may go on, or nobody wants it any more."""
    keys.append((call.key, call.attempt))
    begun.set()
    while not gate.wait(0.02):
        if call.cancelled.is_set():
            keys.append("cancelled")
            raise Failure.internal("py.cancelled", "cancelled")
    return {"done": True}


def work():
    worker.run()


thread = threading.Thread(target=work, daemon=True)
thread.start()
had("py.values")
assert "failed" not in mesh("skills", "test", "py.values")
told = mesh("skills", "describe", "py.fails")
for word in ["trials", "api.example.com", "reads        in/**", "writes       out/**", "confidential at most", "py.down (external)"]:
    assert word in told, told
told = mesh("skills", "invoke", "py.fails", "--attempts", "3", code=1)
assert "not now" in told and "py.down" in told, told
told = mesh("skills", "invoke", "py.fails", "-i", "bug=true", code=1)
assert "JSON cannot say object" in told and "worker.exception" in told, told
check("values, schemas, failures and bugs come through")

submitted = subprocess.Popen([MESH, "--data", DATA.name, "skills", "invoke", "py.waits"], stdout=subprocess.PIPE, text=True)
assert begun.wait(20)
run = json.loads(mesh("runs", "list", "--output", "json", "--limit", "1"))["runs"][0]["runId"]
mesh("runs", "cancel", run)
for _ in range(400):
    if "cancelled" in keys:
        break
    time.sleep(0.05)
assert "cancelled" in keys, keys
submitted.wait(30)
check("a cancelled call is told so")

keys.clear()
begun.clear()
held = subprocess.Popen([MESH, "--data", DATA.name, "skills", "invoke", "py.waits"], stdout=subprocess.PIPE, text=True)
assert begun.wait(20)
cable.cut()
cable.mended()
had("py.waits")
gate.set()
assert json.loads(held.communicate(timeout=30)[0]) == {"done": True}
assert len(keys) == 1, keys
check("a connection that is cut repeats nothing: the worker comes back with the call that it has")

keys.clear()
begun.clear()
gate.clear()
waiting = subprocess.Popen([MESH, "--data", DATA.name, "skills", "invoke", "py.waits"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
assert begun.wait(20)
run = json.loads(mesh("runs", "list", "--output", "json", "--limit", "1"))["runs"][0]["runId"]
started.kill()
started.wait()
started, url = node(url.removeprefix("http://"))
gate.set()
mesh("runs", "watch", run)
assert len({key for key, _ in keys}) == 1 and len(keys) == 2, keys
waiting.wait(60)
check("after a SIGKILL of the node the worker is back, and the call comes again under the same key")

worker.stop()
thread.join(20)
assert not thread.is_alive()
try:
    Worker(url, "wrong").run()
    raise AssertionError("a wrong key was taken")
except Refused as refused:
    assert "key" in str(refused), refused
check("a worker that is told to stop ends, and one with a wrong key is refused")
started.terminate()
started.wait(30)
