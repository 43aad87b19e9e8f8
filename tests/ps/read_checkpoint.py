"""Reads a checkpoint with other tools than Trestle, and compares every value with what the C++ test
wrote beside it: pyarrow to pandas and duckdb for shards, safetensors for the network.

    read_checkpoint.py CHECKPOINT EXPECTED

EXPECTED has a line for each row, `row TABLE KEY OCCURRENCES SAMPLES LAST_STEP WEIGHTS STATE`, and for
each tensor, `tensor NAME ROWS COLS VALUES`. Floats are their 32 bits as integers, joined by commas.
"""
import json
import sys

import duckdb
import numpy as np
import pyarrow as pa
import safetensors.numpy


def floats(text):
    bits = [int(b) for b in text.split(",") if b]
    return np.array(bits, dtype=np.uint32).view(np.float32)


def read_expected(path):
    rows, tensors = {}, {}
    for line in open(path):
        kind, *fields = line.rstrip("\n").split("\t")
        if kind == "row":
            table, key, occurrences, samples, last_step, weights, state = fields
            rows.setdefault(table, {})[int(key)] = (
                int(occurrences), int(samples), int(last_step), floats(weights), floats(state))
        else:
            name, height, width, values = fields
            tensors[name] = floats(values).reshape(int(height), int(width))
    return rows, tensors


def same(a, b, what):
    a, b = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
    assert a.shape == b.shape and a.tobytes() == b.tobytes(), f"{what}: {a} is not {b}"


def check_row(key, expected, counters, weights, slots, what):
    assert tuple(counters) == expected[:3], f"{what}: key {key}: {counters} is not {expected[:3]}"
    same(weights, expected[3], f"{what}: weights of {key}")
    state = [np.atleast_1d(np.asarray(slot, dtype=np.float32)) for slot in slots]
    same(np.concatenate(state) if state else [], expected[4], f"{what}: state of {key}")


COUNTERS = ["occurrences", "samples", "last_step"]


def check_shard(path, expected):
    """Each reader sees the file's rows; returns the keys."""
    reader = pa.ipc.open_file(pa.memory_map(path))
    shard = reader.read_all()
    slots = [name for name in shard.column_names if name not in ["key", "weights", *COUNTERS]]
    index = json.loads(reader.metadata[b"trestle.index"])
    assert sum(batch[2] for batch in index) == shard.num_rows, "rows of the index"

    frame = shard.to_pandas()
    for row in frame.to_dict("records"):
        check_row(row["key"], expected[row["key"]], [row[c] for c in COUNTERS], row["weights"],
                  [row[s] for s in slots], "pandas")

    found = duckdb.sql(f"SELECT key, {', '.join(COUNTERS + ['weights'] + slots)} FROM shard").fetchall()
    for key, occurrences, samples, last_step, weights, *state in found:
        check_row(key, expected[key], (occurrences, samples, last_step), weights, state, "duckdb")
    keys = frame["key"].tolist()
    assert keys == [row[0] for row in found], "duckdb's keys"
    return keys


def main(checkpoint, expected_path):
    rows, tensors = read_expected(expected_path)
    manifest = json.load(open(f"{checkpoint}/MANIFEST.json"))
    for table in manifest["tables"]:
        expected = rows.get(table["name"], {})
        keys = []
        for file in manifest["files"]:
            if file.get("table") == table["name"]:
                keys += check_shard(f"{checkpoint}/{file['name']}", expected)
        assert sorted(keys) == sorted(expected), f"keys of {table['name']}"
        print(f"table {table['name']}: {len(keys)} rows")
    dense = safetensors.numpy.load_file(f"{checkpoint}/dense.safetensors")
    assert list(sorted(dense)) == list(sorted(tensors)), "names of tensors"
    for name, values in tensors.items():
        same(dense[name], values, f"tensor {name}")
    print(f"dense: {len(dense)} tensors")


main(*sys.argv[1:])
