"""Closures over the same edges in rustworkx, networkx and SQLite: closures.py SIDE FOLDER [STARTS]

FOLDER holds `edges` (pairs of 32-bit numbers, from newer to older) and `starts.json`. The last line is JSON.
What Python adds to a call is in these times; for closures of thousands of nodes it is little.
"""

import json
import pathlib
import sqlite3
import sys
import time

import numpy


def quantile(values, share):
    values = sorted(values)
    return values[round((len(values) - 1) * share)]


def asked(starts, closure):
    took, sizes = [], []
    for start in starts:
        began = time.perf_counter()
        sizes.append(closure(start))
        took.append((time.perf_counter() - began) * 1e6)
    return {
        "p50_us": quantile(took, 0.5),
        "p99_us": quantile(took, 0.99),
        "nodes": sum(sizes),
    }


def rustworkx_side(edges, _folder):
    import rustworkx

    graph = rustworkx.PyDiGraph()
    graph.add_nodes_from([None] * (int(edges.max()) + 1))
    graph.add_edges_from_no_data([tuple(edge) for edge in edges.tolist()])
    return {
        "why": lambda start: len(rustworkx.descendants(graph, start)) + 1,
        "impact": lambda start: len(rustworkx.ancestors(graph, start)) + 1,
    }


def networkx_side(edges, _folder):
    import networkx

    graph = networkx.DiGraph()
    graph.add_nodes_from(range(int(edges.max()) + 1))
    graph.add_edges_from(edges.tolist())
    return {
        "why": lambda start: len(networkx.descendants(graph, start)) + 1,
        "impact": lambda start: len(networkx.ancestors(graph, start)) + 1,
    }


def sqlite_side(edges, folder):
    path = folder / "closures.sqlite"
    path.unlink(missing_ok=True)
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE edge (newer INTEGER, older INTEGER, PRIMARY KEY (newer, older)) WITHOUT ROWID")
    db.executemany("INSERT OR IGNORE INTO edge VALUES (?, ?)", edges.tolist())
    db.execute("CREATE INDEX back ON edge (older, newer)")
    db.commit()

    def ask(known, wanted):
        text = f"""WITH RECURSIVE reached(node) AS (VALUES (?) UNION
            SELECT edge.{wanted} FROM reached JOIN edge ON edge.{known} = reached.node)
            SELECT count(*) FROM reached"""
        return lambda start: db.execute(text, (start,)).fetchone()[0]

    return {"why": ask("newer", "older"), "impact": ask("older", "newer")}


def main():
    side, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 1_000
    edges = numpy.fromfile(folder / "edges", dtype="<u4").reshape(-1, 2)
    starts = json.loads((folder / "starts.json").read_text())
    began = time.perf_counter()
    asks = {"rustworkx": rustworkx_side, "networkx": networkx_side, "sqlite": sqlite_side}[side](edges, folder)
    load = time.perf_counter() - began
    told = {name: asked(starts[name][:count], ask) for name, ask in asks.items()}
    print(json.dumps({"load_s": load, "insert_m_edges_s": len(edges) / load / 1e6, "starts": count, **told}))


if __name__ == "__main__":
    main()
