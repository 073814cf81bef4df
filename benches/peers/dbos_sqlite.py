"""DBOS's side: a library in this process, on a SQLite file.

    dbos_sqlite.py FOLDER
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import pipe
from dbos import DBOS


@DBOS.step()
def step(text: str) -> str:
    return text


@DBOS.workflow()
def ten_steps(text: str) -> str:
    for _ in range(pipe.STEPS):
        text = step(text)
    return text


def measure(in_flight, seconds):
    began = time.monotonic()

    def one_after_another(_):
        took = []
        while time.monotonic() < began + seconds:
            start = time.monotonic()
            ten_steps(pipe.TEXT)
            took.append(time.monotonic() - start)
        return took

    with ThreadPoolExecutor(in_flight) as threads:
        took = [time for times in threads.map(one_after_another, range(in_flight)) for time in times]
    return pipe.summary(began, took)


def finished():
    count, page = 0, 1000
    while True:
        rows = DBOS.list_workflows(status="SUCCESS", limit=page, offset=count, load_input=False, load_output=False)
        count += len(rows)
        if len(rows) < page:
            return count


database = os.path.join(sys.argv[1], "dbos.sqlite")
DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{database}", "log_level": "ERROR"})
DBOS.launch()
pipe.say({"version": f"dbos {version('dbos')}", "servers": [os.getpid()]})
for ask in pipe.asked():
    pipe.say({"finished": finished()} if ask.get("finished") else measure(ask["in_flight"], ask["seconds"]))
DBOS.destroy()
