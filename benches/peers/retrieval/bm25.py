"""bm25s on a set that our bench wrote: its nDCG@10 and recall@100, as one line of JSON."""

import json, math, sys, time
from importlib.metadata import version

import bm25s, Stemmer

with open(sys.argv[1]) as file:
    given = json.load(file)
texts, names = [d["text"] for d in given["documents"]], [d["id"] for d in given["documents"]]
stemmer = Stemmer.Stemmer("english")
began = time.monotonic()
index = bm25s.BM25(k1=1.2, b=0.75)
index.index(bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)
ndcg = recall = 0.0
for question in given["questions"]:
    words = bm25s.tokenize([question["text"]], stopwords="en", stemmer=stemmer, show_progress=False, return_ids=False)
    places, _ = index.retrieve(words, k=min(100, len(texts)), show_progress=False)
    gains = [question["relevant"].get(names[place], 0) for place in places[0]]
    ideal = sorted(question["relevant"].values(), reverse=True)
    value = lambda row: sum(gain / math.log2(place + 2) for place, gain in enumerate(row[:10]))
    ndcg += value(gains) / value(ideal)
    recall += sum(gain > 0 for gain in gains) / len(ideal)
count = len(given["questions"])
print(json.dumps({
    "version": version("bm25s"),
    "bm25s": {"ndcg10": round(ndcg / count, 4), "recall100": round(recall / count, 4)},
    "seconds": round(time.monotonic() - began, 2),
}))
