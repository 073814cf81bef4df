"""What the agents in Python share: the question, the tool, and the loop that is measured.

Each script is one process and one thread: `SCRIPT --url U --in-flight N --runs R --warm W`. It makes its
agent once, does W runs, then R more, N at a time, and says in its last line what those cost.

Import this first: it switches off what the frameworks would tell somebody.
"""

import argparse
import asyncio
import json
import os
import time
from importlib.metadata import version

os.environ.update(
    ENABLE_INSTRUMENTATION="false",
    LANGCHAIN_TRACING_V2="false",
    LANGSMITH_TRACING="false",
    OPENAI_AGENTS_DISABLE_TRACING="1",
    OTEL_SDK_DISABLED="true",
)

INSTRUCTIONS = "Look up what you are asked for."
QUESTION = "Look up a and b."
MODEL = "bench"
DONE = "done"


def lookup(key: str) -> str:
    """Looks a key up."""
    return f"the value of {key}"


def memory(name):
    """A line of this process's status, in bytes."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    raise SystemExit(f"no {name} in /proc/self/status")


async def repeat(times, in_flight, once):
    left = iter(range(times))

    async def one_after_another():
        for _ in left:
            said = await once()
            if said != DONE:
                raise SystemExit(f"the agent's answer is {said!r}")

    await asyncio.gather(*(one_after_another() for _ in range(in_flight)))


async def measure(make, packages):
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    for name in ("--in-flight", "--runs", "--warm"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()

    once = make(options.url)
    rest = memory("VmRSS")
    await repeat(options.warm, options.in_flight, once)
    began, used = time.monotonic(), time.process_time()
    await repeat(options.runs, options.in_flight, once)
    said = {
        "version": ", ".join(f"{package} {version(package)}" for package in packages),
        "runs": options.runs,
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - used,
        "rest_bytes": rest,
        "peak_bytes": memory("VmHWM"),
    }
    print(json.dumps(said), flush=True)


def main(make, *packages):
    """Measures the agent that `make` gives for a url: a coroutine function that does one run and answers
    with the agent's last words."""
    asyncio.run(measure(make, packages))
