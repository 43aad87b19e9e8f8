"""DIN of configs/kuairand_din.textproto in numpy. The last argument is what `trestle predict` wrote of ROWS.

python docs/score_din.py CHECKPOINT ROWS.parquet PREDICTIONS.parquet
"""
import json, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq, safetensors.numpy, xxhash

checkpoint, rows_path, predictions_path = sys.argv[1:]
manifest = json.load(open(f"{checkpoint}/MANIFEST.json"))
net = safetensors.numpy.load_file(f"{checkpoint}/dense.safetensors")
tables = {}  # name: seed of string keys, ascending keys, their weights
for t in manifest["tables"]:
    files = [f"{checkpoint}/{f['name']}" for f in manifest["files"] if f.get("table") == t["name"]]
    shards = pa.concat_tables(pa.ipc.open_file(pa.memory_map(f)).read_all() for f in files)
    order = np.argsort(keys := shards["key"].to_numpy())
    weights = shards["weights"].combine_chunks().flatten().to_numpy().reshape(len(keys), -1)
    tables[t["name"]] = int(t["seed"]), keys[order], weights[order]

def embed(name, column):  # integers are their own keys; an unseen key reads as zeros
    seed, keys, weights = tables[name]
    if pa.types.is_string(column.type):
        column = pa.array([xxhash.xxh3_64_intdigest(x.encode(), seed) for x in column.to_pylist()], pa.uint64())
    ids = column.to_numpy(zero_copy_only=False).astype(np.uint64)
    at = np.searchsorted(keys, ids).clip(max=len(keys) - 1)
    return np.where((keys[at] == ids)[:, None], weights[at], np.float32(0))

def mlp(name, x, layer=0):
    while f"{name}.{layer}.weight" in net:
        x = x @ net[f"{name}.{layer}.weight"] + net[f"{name}.{layer}.bias"]
        x, layer = np.where(x > 0, x, net[f"{name}.{layer}.prelu"] * x), layer + 1
    return x @ net[f"{name}.output.weight"] + net[f"{name}.output.bias"]

def score(rows, keep_last=50):
    pairs = {"video_id": "hist_video", "author_id": "hist_author", "tag": "hist_tag"}
    t = np.hstack([embed(name, rows[name]) for name in pairs])
    kept = {n: [(ids or [])[-keep_last:] for ids in rows[h].to_pylist()] for n, h in pairs.items()}
    row = np.repeat(np.arange(len(t)), [len(ids) for ids in kept["video_id"]])
    h = np.hstack([embed(n, pa.array([i for ids in kept[n] for i in ids], pa.int64())) for n in pairs])
    user, target = np.zeros_like(t), t[row]
    np.add.at(user, row, mlp("attention", np.hstack([target, h, target - h, target * h])) * h)
    others = [embed(name, rows[name]) for name in tables if name not in pairs]  # in the config's order
    return mlp("mlp", np.hstack([*others, t, user]))[:, 0]

logits = np.concatenate([score(batch) for batch in pq.ParquetFile(rows_path).iter_batches(4096)])
worst = np.abs(logits - pq.read_table(predictions_path)["logit"].to_numpy()).max()
print(f"{len(logits)} rows, largest difference of a logit {worst:.2g}")
sys.exit(int(not worst <= 1e-5))  # NaN is none
