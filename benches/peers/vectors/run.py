"""One peer of `benches/compare vectors`: run.py SIDE PHASE FOLDER DIMENSIONS, and its last line is one JSON object.

Batches go to the libraries that take batches, so that Python is asked once for all queries; Qdrant's engine is asked
query by query. A tenant is an index of its own for hnswlib, usearch and faiss, as it is for us, and a keyword of the
payload for Qdrant; a label is a filter on the index of all.
"""

import importlib.metadata
import json
import os
import pathlib
import shutil
import sys
import threading
import time

import numpy as np

K = 10
WIDTHS = [16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512]
FILTERS = {"all": lambda t: t >= 0, "1": lambda t: t == 7, "10": lambda t: t % 10 == 3}
LINKS, BUILD = 16, 100


class Data:
    def __init__(self, folder, dimensions):
        self.folder, self.dimensions = folder, dimensions
        self.queries = np.fromfile(folder / "queries.f32", np.float32).reshape(-1, dimensions)
        self.tenants = np.fromfile(folder / "tenants.u8", np.uint8)
        self.truth = {name: np.fromfile(folder / f"truth-{name}.u32", np.uint32).reshape(-1, K) for name in FILTERS}

    def base(self):
        return np.fromfile(self.folder / "base.f32", np.float32).reshape(-1, self.dimensions)

    def rows(self, name):
        return np.flatnonzero(FILTERS[name](self.tenants))


def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def recall(found, truth):
    return float(np.mean([len(set(f) & set(t)) / K for f, t in zip(found, truth)]))


class Hnswlib:
    package = "hnswlib"

    def __init__(self, data):
        import hnswlib

        self.module, self.data = hnswlib, data

    def path(self, name):
        return str(self.data.folder / "hnswlib" / name)

    def build(self, name):
        rows = self.data.rows(name)
        index = self.module.Index("ip", self.data.dimensions)
        index.init_index(len(rows), M=LINKS, ef_construction=BUILD)
        index.add_items(self.data.base()[rows], rows, num_threads=2)
        index.save_index(self.path(name))

    def load(self, name):
        index = self.module.Index("ip", self.data.dimensions)
        index.load_index(self.path(name))
        return index

    def search(self, index, queries, width, threads, label=None):
        index.set_ef(width)
        passes = None
        if label:
            allowed = np.zeros(len(self.data.tenants), bool)
            allowed[self.data.rows(label)] = True
            allowed = allowed.tolist()
            passes = allowed.__getitem__
        return index.knn_query(queries, K, num_threads=threads, filter=passes)[0]


class Usearch:
    package = "usearch"

    def __init__(self, data):
        import usearch.index

        self.module, self.data = usearch.index, data

    def path(self, name):
        return str(self.data.folder / "usearch" / name)

    def build(self, name):
        rows = self.data.rows(name)
        index = self.module.Index(
            ndim=self.data.dimensions, metric="ip", dtype="f32", connectivity=LINKS, expansion_add=BUILD
        )
        index.add(rows.astype(np.uint64), self.data.base()[rows], threads=2)
        index.save(self.path(name))

    def load(self, name):
        return self.module.Index.restore(self.path(name))

    def search(self, index, queries, width, threads, label=None):
        if label:
            return None
        index.expansion_search = width
        return index.search(queries, K, threads=threads).keys


class Faiss:
    package = "faiss-cpu"

    def __init__(self, data):
        import faiss

        self.module, self.data = faiss, data

    def path(self, name):
        return str(self.data.folder / "faiss" / name)

    def build(self, name):
        rows = self.data.rows(name)
        self.module.omp_set_num_threads(2)
        index = self.module.IndexHNSWFlat(self.data.dimensions, LINKS, self.module.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = BUILD
        index.add(self.data.base()[rows])
        self.module.write_index(index, self.path(name))
        np.save(self.path(name) + ".npy", rows)

    def load(self, name):
        index = self.module.read_index(self.path(name))
        return index, np.load(self.path(name) + ".npy")

    def search(self, loaded, queries, width, threads, label=None):
        index, names = loaded
        self.module.omp_set_num_threads(threads)
        params = self.module.SearchParametersHNSW(efSearch=width)
        if label:
            allowed = np.zeros(len(self.data.tenants), bool)
            allowed[self.data.rows(label)] = True
            params.sel = self.module.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        return names[index.search(queries, K, params=params)[1]]


class Qdrant:
    package = "qdrant-edge-py"

    def __init__(self, data):
        import qdrant_edge

        self.q, self.data = qdrant_edge, data

    def path(self, _name):
        return str(self.data.folder / "qdrant" / "all")

    def config(self):
        q = self.q
        vectors = q.EdgeVectorParams(size=self.data.dimensions, distance=q.Distance.Dot)
        hnsw = q.HnswIndexConfig(LINKS, BUILD, 10_000, 2)
        return q.EdgeConfig(vectors=vectors, hnsw_config=hnsw)

    def build(self, name):
        if name != "all":
            return
        q = self.q
        os.makedirs(self.path(name))
        shard = q.EdgeShard.create(self.path(name), self.config())
        shard.update(q.UpdateOperation.create_field_index("tenant", q.KeywordIndexParams(is_tenant=True)))
        base, tenants = self.data.base(), self.data.tenants
        for start in range(0, len(base), 1000):
            rows = range(start, min(start + 1000, len(base)))
            points = [q.Point(row, base[row].tolist(), {"tenant": self.keywords(int(tenants[row]))}) for row in rows]
            shard.update(q.UpdateOperation.upsert_points(points))
        while shard.optimize():
            pass
        shard.flush()
        shard.close()

    def keywords(self, tenant):
        return [str(tenant)] + (["tens"] if tenant % 10 == 3 else [])

    def load(self, _name):
        return self.q.EdgeShard.load(self.path("all"))

    def request(self, query, width, label):
        q = self.q
        only = {"1": "7", "10": "tens", None: None}[label]
        only = only and q.Filter(must=[q.FieldCondition("tenant", match=q.MatchValue(only))])
        return q.QueryRequest(limit=K, query=q.Query.Nearest(query), filter=only, params=q.SearchParams(hnsw_ef=width))

    def search(self, shard, queries, width, threads, label=None):
        requests = [self.request(query.tolist(), width, label) for query in queries]
        found = [None] * len(requests)

        def work(start):
            for at in range(start, len(requests), threads):
                found[at] = [point.id for point in shard.query(requests[at])]

        workers = [threading.Thread(target=work, args=(start,)) for start in range(threads)]
        self.clock = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return found


SIDES = {"hnswlib": Hnswlib, "usearch": Usearch, "faiss": Faiss, "qdrant": Qdrant}


def build(side, data):
    home = data.folder / sys.argv[1]
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    seconds = {}
    for name in FILTERS:
        start = time.perf_counter()
        side.build(name)
        seconds[name] = time.perf_counter() - start
    files = [home / "all"] if (home / "all").is_file() else [f for f in home.rglob("*") if f.is_file()]
    size = sum(file.stat().st_blocks * 512 for file in files) / 1048576
    version = importlib.metadata.version(side.package)
    return {"seconds": seconds["all"], "file_mib": size, "version": version}


def curve(side, index, data, widths, threads, truth, label=None, queries=None):
    asked = data.queries[:queries]
    points = []
    for width in widths:
        start = time.perf_counter()
        found = side.search(index, asked, width, threads, label)
        if found is None:
            return points
        # Where requests are Python objects, making them is not the engine's work.
        start = getattr(side, "clock", start)
        seconds = time.perf_counter() - start
        points.append([width, recall(found, data.truth[label or truth][:queries]), len(asked) / seconds])
    return points


def mixed(side, shard, data):
    q, stop, written = side.q, threading.Event(), [0]

    def write():
        while not stop.is_set():
            vector = data.queries[written[0] % len(data.queries)].tolist()
            point = q.Point(2**40 + written[0], vector, {"tenant": ["none"]})
            shard.update(q.UpdateOperation.upsert_points([point]))
            written[0] += 1

    writer, took, start = threading.Thread(target=write), [], time.perf_counter()
    requests = [side.request(query.tolist(), 96, None) for query in data.queries]
    writer.start()
    while time.perf_counter() - start < 3:
        for request in requests[:50]:
            asked = time.perf_counter()
            shard.query(request)
            took.append((time.perf_counter() - asked) * 1000)
    seconds = time.perf_counter() - start
    stop.set()
    writer.join()
    p50, p99 = np.quantile(took, [0.5, 0.99])
    return {"inserts_per_s": written[0] / seconds, "search_p50_ms": float(p50), "search_p99_ms": float(p99)}


def search(side, data, write):
    before, start = resident(), time.perf_counter()
    index = side.load("all")
    side.search(index, data.queries[:1], 96, 1)
    loaded = (time.perf_counter() - start) * 1000
    runs = {f"all/{threads}": curve(side, index, data, WIDTHS, threads, "all") for threads in (1, 2)}
    memory = resident() - before
    for label in ("1", "10"):
        # A callback into Python for each row that is met: fewer queries, or it takes all day.
        queries = 100 if isinstance(side, Hnswlib) else None
        runs[f"label_{label}"] = curve(side, index, data, [16, 32, 64, 128, 256], 1, label, label, queries)
        if isinstance(side, Qdrant):
            runs[f"tenant_{label}"] = runs[f"label_{label}"]
        else:
            runs[f"tenant_{label}"] = curve(side, side.load(label), data, WIDTHS, 1, label)
    result = {"load_ms": loaded, "rss_mib": memory, "runs": runs}
    if write and isinstance(side, Qdrant):
        result["mixed"] = mixed(side, index, data)
    return result


def main():
    _, name, phase, folder, dimensions = sys.argv
    data = Data(pathlib.Path(folder), int(dimensions))
    side = SIDES[name](data)
    print(json.dumps(build(side, data) if phase == "build" else search(side, data, phase == "search-and-write")))


main()
