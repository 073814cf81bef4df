"""Draws what `benches/compare growth` measured: one row for each thing that grows, one column for each cost.

Reads the line of JSON from standard input; the first argument is the picture.
"""

import json
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plot  # noqa: E402

CAUSES = {"finished": "finished runs", "history": "events of a run", "tenants": "tenants", "queue": "queued runs"}
COSTS = {"stepsPerSecond": "steps/s", "peakMib": "peak MiB", "startMs": "start, ms"}

plot.rcParams["svg.hashsalt"] = "mesh"
plot.rcParams["svg.fonttype"] = "none"

measured = json.loads(sys.stdin.read().strip().splitlines()[-1])["ours"]
figure, rows = plot.subplots(len(measured), len(COSTS), figsize=(10, 2.6 * len(measured)), squeeze=False)
for row, (cause, points) in zip(rows, measured.items()):
    for place, (cost, name) in zip(row, COSTS.items()):
        place.plot([point["cause"] for point in points], [point[cost] for point in points], marker="o")
        place.set_xscale("log")
        place.set_ylim(bottom=0)
        place.set_xlabel(CAUSES[cause])
        place.set_title(name, fontsize=10)
        place.grid(alpha=0.3)
figure.tight_layout()
figure.savefig(sys.argv[1], metadata={"Date": None})
