"""What the scripts of the peers in Python share: lines of JSON in, lines of JSON out.

Each line of standard input asks for one thing and is answered with one line: `{"in_flight", "seconds"}`
with `{"runs": [seconds...], "time"}`, and `{"finished": true}` with `{"finished": n}`. The script ends
when its standard input does.
"""

import json
import sys
import time

STEPS = 10
TEXT = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-."


def say(message):
    """One line to the driver."""
    print(json.dumps(message), flush=True)


def asked():
    """What the driver asks for, until it ends."""
    for line in sys.stdin:
        yield json.loads(line)


def summary(began, took):
    """The answer to a measurement: every run is waited for, and the time is that until the last end."""
    return {"runs": took, "time": time.monotonic() - began}
