"""What the sides of `benches/compare lineage` said, as a table and as the line of JSON: report.py FOLDER EDGES LOAD

A closure's size is told by every side, so a side that answered something else is found out.
"""

import json
import os
import pathlib
import sys


def main():
    folder, edges, before = pathlib.Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    said = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.side"))}
    ours = said.pop("ours")
    print(f"\n{'side':<12} {'why p50':>10} {'p99 us':>12} {'impact p50':>12} {'p99 us':>12} {'B/edge':>8} {'M edges/s':>10}")
    for name, side in [("ours", ours), *said.items()]:
        why, impact = side["why"], side["impact"]
        size = side.get("bytes_per_edge")
        size = f"{size:8.1f}" if size else f"{'':8}"
        print(
            f"{name:<12} {why['p50_us']:>10.1f} {why['p99_us']:>12.1f} {impact['p50_us']:>12.1f}"
            f" {impact['p99_us']:>12.1f} {size} {side['insert_m_edges_s']:>10.2f}"
        )
    for name, side in said.items():
        for way in ("why", "impact"):
            whole = side.get("starts", 1_000) == 1_000
            if whole and side[way]["nodes"] != ours[way]["nodes"]:
                sys.exit(f"{name} reached {side[way]['nodes']} nodes by {way}, ours {ours[way]['nodes']}")
    ratio = {
        f"{way}_{share}": min(side[way][f"{share}_us"] for side in said.values()) / ours[way][f"{share}_us"]
        for way in ("why", "impact")
        for share in ("p50", "p99")
    }
    line = {
        "bench": "lineage",
        "versions": {"petgraph": "0.8", "rustworkx": "0.18.1", "networkx": "3.6.1", "sqlite": "Python's"},
        "load": [before, os.getloadavg()[0]],
        "work": {"edges": edges, "nodes": ours["nodes"], "starts": 1_000, "why": ours["why"], "impact": ours["impact"]},
        "ours": ours,
        "peers": said,
        "ratio": ratio,
        "limit": {"ratio.why_p99": 5, "ratio.impact_p99": 7, "ours.bytes_per_edge": 20},
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
