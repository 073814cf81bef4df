"""A worker: its skills, and how it comes back when it is cut off."""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import grpc

from .call import Call, Failure
from .contract import OPTIONS, Contract, fill, plain

__version__ = "0.1.0"

log = logging.getLogger("mesh_worker")

Effect = Literal["pure", "idempotent", "at-least-once"]
Permission = Literal["files", "processes", "loopback", "network"]
Ceiling = Literal["public", "internal", "confidential", "restricted"]
Function = Callable[[Call], Any]

#: The parts of a failure that is declared.
_FAILURE = ("code", "failure_class", "description")

#: The node would say the same again.
_FOR_GOOD = {
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNIMPLEMENTED,
}


class Refused(Exception):
    """The node says no, and would say no again."""


@dataclass
class _Skill:
    name: str
    version: str
    description: str
    effect: Effect
    takes: Any
    gives: Any
    within: float | None
    fails: Sequence[str]
    examples: Sequence[tuple[str, Any, Any]]
    reach: dict[str, Any]
    function: Function


class Worker:
    """A process that does the calls of its skills."""

    def __init__(self, url: str, key: str | None = None, *, name: str | None = None, concurrency: int = 16) -> None:
        """``url`` is the node's, ``http://…``; ``key`` an API key with the role developer, or MESH_API_KEY."""
        self._target = url.removeprefix("http://").rstrip("/")
        self._key = key or os.environ.get("MESH_API_KEY", "")
        self._id = name or f"worker-{uuid.uuid4().hex}"
        self._concurrency = concurrency
        self._skills: dict[str, _Skill] = {}
        self._lock = threading.Lock()
        self._running: dict[str, threading.Event] = {}
        #: Outcomes in bytes: each connection reads the contract anew.
        self._kept: dict[str, bytes] = {}
        self._said: queue.Queue[Any] | None = None
        self._contract: Contract | None = None
        self._stopping = threading.Event()

    def skill(
        self,
        name: str,
        version: str,
        *,
        effect: Effect = "pure",
        takes: Any = True,
        gives: Any = True,
        within: float | None = None,
        fails: Sequence[str] = (),
        examples: Sequence[tuple[str, Any, Any]] = (),
        description: str | None = None,
        category: str = "",
        needs: Sequence[Permission] = (),
        hosts: Sequence[str] = (),
        reads: Sequence[str] = (),
        writes: Sequence[str] = (),
        ceiling: Ceiling = "internal",
        accepts: Literal["trusted", "tainted"] = "trusted",
        returns: Literal["trusted", "tainted"] | None = None,
        failures: Sequence[tuple[str, str, str]] = (),
        concurrent_max: int = 0,
        memory_max: int = 0,
        rate: tuple[int, float, int] | None = None,
    ) -> Callable[[Function], Function]:
        """Makes a function a skill.

        ``takes`` and ``gives`` are JSON Schemas of input and output, ``within`` is how long a call may take, in
        seconds, with the wait for a worker; ``examples`` are titles with an input and the output's least fields,
        which `mesh skills test` calls. The docstring describes it unless ``description`` does.

        ``failures`` are codes that callers can count on, each with its class and a sentence. A call whose cause is
        classified above ``ceiling`` is refused, and one that is tainted unless it ``accepts`` that. What
        somebody outside may have written it ``returns`` as tainted: not said, so does one that needs "network". Of
        ``concurrent_max`` calls at once the node has no more done, over all workers; with a ``rate`` of calls,
        seconds and burst it has no more done in that time. ``hosts``, ``reads``,
        ``writes`` and ``memory_max`` (bytes) are declared; the node does not hold a skill to them yet.
        """

        def made(function: Function) -> Function:
            told = description or (function.__doc__ or "").strip()
            reach = {
                "category": category,
                "permissions": needs,
                "hosts": hosts,
                "files": [{"path": path} for path in reads] + [{"path": path, "write": True} for path in writes],
                "ceiling": f"CLASSIFICATION_{ceiling.upper()}",
                "accepts": f"SKILL_ACCEPTS_{accepts.upper()}",
                "returns": f"SKILL_RETURNS_{(returns or 'unspecified').upper()}",
                "failures": [dict(zip(_FAILURE, failure, strict=True)) for failure in failures],
                "resources": {"concurrent_max": concurrent_max, "memory_max": memory_max, **_rate(rate)},
            }
            self._skills[name] = _Skill(
                name, version, told, effect, takes, gives, within, fails, examples, reach, function
            )
            return function

        return made

    def run(self) -> None:
        """Registers the skills and does their calls until :meth:`stop`, SIGTERM or Ctrl-C, and all is done.

        Raises :class:`Refused` when the node will not have it; a node that cannot be reached is dialled again.
        """
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stop())
        delay = 0.1
        with ThreadPoolExecutor(self._concurrency, "skill") as pool:
            while not (self._stopping.is_set() and self._is_idle()):
                try:
                    with grpc.insecure_channel(self._target, OPTIONS) as channel:
                        contract = Contract(channel, self._key)
                        contract.unary("SkillService/RegisterSkills", self._registration(contract))
                        self._connected(contract, pool)
                        delay = 0.1
                except grpc.RpcError as error:
                    code = error.code() if isinstance(error, grpc.Call) else None
                    if code in _FOR_GOOD:
                        raise Refused(error.details()) from error
                    log.warning("the node cannot be reached, dialled again in %.1f s: %s", delay, code)
                self._said = None
                self._stopping.wait(0 if self._stopping.is_set() and self._is_idle() else delay)
                delay = min(delay * 2, 5.0)

    def stop(self) -> None:
        """Takes nothing new; :meth:`run` ends when what it has is done."""
        self._stopping.set()
        said, contract = self._said, self._contract
        if said is not None and contract is not None:
            said.put(contract.message("WorkRequest", drain=contract.message("WorkerDrain")))

    def _is_idle(self) -> bool:
        with self._lock:
            return not self._running and not self._kept

    def _registration(self, contract: Contract) -> Any:
        request = contract.message("RegisterSkillsRequest")
        for skill in self._skills.values():
            told = request.skills.add(
                name=skill.name, version=skill.version, description=skill.description, **skill.reach
            )
            told.effect = f"SKILL_EFFECT_{skill.effect.upper().replace('-', '_')}"
            fill(told.input_schema, skill.takes)
            fill(told.output_schema, skill.gives)
            told.failure_classes.extend(skill.fails)
            if skill.within is not None:
                told.timeout.seconds = int(skill.within)
                told.timeout.nanos = int(skill.within % 1 * 1e9)
            for title, given, output in skill.examples:
                example = told.examples.add(title=title, alone=True)
                fill(example.input, given)
                fill(example.output, output)
        return request

    def _connected(self, contract: Contract, pool: ThreadPoolExecutor) -> None:
        said: queue.Queue[Any] = queue.Queue()
        with self._lock:
            held = [*self._running, *self._kept]
            kept = list(self._kept.values())
        hello = contract.message(
            "WorkerHello",
            worker_id=self._id,
            sdk=f"mesh-worker-python/{__version__}",
            concurrency=self._concurrency,
            held_call_ids=held,
        )
        for skill in self._skills.values():
            hello.skills.add(name=skill.name, version=skill.version)
        said.put(contract.message("WorkRequest", hello=hello))
        for outcome in kept:
            said.put(contract.message("WorkRequest", outcome=contract.read("CallOutcome", outcome)))
        beat_every = [10.0]
        told = contract.stream("WorkerService/Work", _spoken(said, contract, beat_every))
        with self._lock:
            self._contract, self._said = contract, said
        if self._stopping.is_set():
            self.stop()
        try:
            for message in told:
                kind = message.WhichOneof("message")
                if kind == "welcome":
                    every = message.welcome.beat_every
                    beat_every[0] = max(every.seconds + every.nanos / 1e9, 0.05)
                elif kind == "call":
                    self._begin(contract, pool, message.call)
                elif kind == "cancelled":
                    self._cancel(message.cancelled.call_id)
                elif kind == "acknowledged":
                    self._acknowledged(message.acknowledged)
        finally:
            said.put(None)
            told.cancel()

    def _begin(self, contract: Contract, pool: ThreadPoolExecutor, asked: Any) -> None:
        cancelled = threading.Event()
        with self._lock:
            self._running[asked.call_id] = cancelled
        call = Call(
            input=plain(asked.input),
            key=asked.idempotency_key,
            attempt=asked.attempt,
            tenant=asked.tenant_id,
            run=asked.run_id,
            step=asked.step_id,
            item=asked.item if asked.HasField("item") else None,
            traceparent=asked.traceparent,
            trace=asked.trace_id,
            cancelled=cancelled,
            _progress=lambda text: self._progress(asked.call_id, text),
        )
        pool.submit(self._do, contract, asked.call_id, self._skills[asked.skill.name].function, call)

    def _do(self, contract: Contract, call_id: str, function: Function, call: Call) -> None:
        outcome = contract.message("CallOutcome", call_id=call_id)
        try:
            fill(outcome.output, function(call))
        except Failure as failure:
            outcome.ClearField("output")
            told = outcome.failure
            told.failure_class, told.code, told.message = failure.failure_class, failure.code, failure.message
            if failure.retry_after is not None:
                told.retry_after.seconds = int(failure.retry_after)
                told.retry_after.nanos = int(failure.retry_after % 1 * 1e9)
            if failure.details is not None:
                fill(told.details, failure.details)
        except Exception as error:
            log.exception("a skill has a bug")
            outcome.ClearField("output")
            told = outcome.failure
            told.failure_class, told.code = "internal", "worker.exception"
            told.message = f"{type(error).__name__}: {error}"
        with self._lock:
            # What was acknowledged meanwhile is wanted by nobody.
            if self._running.pop(call_id, None) is None:
                return
            self._kept[call_id] = kept = outcome.SerializeToString()
        self._say("outcome", lambda now: now.read("CallOutcome", kept))

    def _progress(self, call_id: str, text: str) -> None:
        self._say("progress", lambda now: now.message("CallProgress", call_id=call_id, text=text))

    def _say(self, kind: str, made: Callable[[Contract], Any]) -> None:
        with self._lock:
            said, contract = self._said, self._contract
        if said is not None and contract is not None:
            said.put(contract.message("WorkRequest", **{kind: made(contract)}))

    def _cancel(self, call_id: str) -> None:
        with self._lock:
            cancelled = self._running.get(call_id)
        if cancelled is not None:
            cancelled.set()

    def _acknowledged(self, ack: Any) -> None:
        with self._lock:
            self._kept.pop(ack.call_id, None)
            cancelled = self._running.pop(ack.call_id, None)
        if cancelled is not None:
            cancelled.set()


def _rate(rate: tuple[int, float, int] | None) -> dict[str, Any]:
    if rate is None:
        return {}
    calls, seconds, burst = rate
    per = {"seconds": int(seconds), "nanos": int(seconds % 1 * 1e9)}
    return {"rate": {"calls": calls, "per": per, "burst": burst}}


def _spoken(said: queue.Queue[Any], contract: Contract, beat_every: list[float]) -> Iterator[Any]:
    """What there is to say, and a beat when there is nothing."""
    while True:
        try:
            message = said.get(timeout=beat_every[0])
        except queue.Empty:
            message = contract.message("WorkRequest", beat=contract.message("WorkerBeat"))
        if message is None:
            return
        yield message
