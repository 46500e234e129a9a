#!/usr/bin/env python3
"""Writes tests/data/quant/gguf_blocks.json: what the gguf package's reference decoders make of pseudo-random blocks.

Needs the packages gguf and numpy; run once, the result is committed:
    python tests/tools/make_gguf_fixtures.py
Blocks come from hashed counters, so that the test rebuilds them; of the decoded values the first block is stored and a
weighted sum of all their bits modulo 2^64 (odd weights by position: any one wrong bit changes it).
"""
import json
import pathlib

import gguf
import numpy as np
from make_bnb_fixtures import splitmix64

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "quant" / "gguf_blocks.json"
# type name -> (block bytes, places of the half-precision scales, blocks to check)
TYPES = {"Q4_0": (18, [0], 1 << 20), "Q4_1": (20, [0, 2], 1 << 20), "Q5_0": (22, [0], 1 << 20), "Q5_1": (24, [0, 2], 1 << 20),
         "Q8_0": (34, [0], 1 << 20), "IQ4_NL": (18, [0], 1 << 20), "Q2_K": (84, [80, 82], 1 << 20),
         "Q3_K": (110, [108], 1 << 20), "Q4_K": (144, [0, 2], 1 << 20), "Q5_K": (176, [0, 2], 1 << 20),
         "Q6_K": (210, [208], 1 << 20), "IQ4_XS": (136, [0], 1 << 20)}
PIECE = 1 << 14  # blocks at a time


def blocks_of(seed, count, size, scale_places):
    """count blocks of hashed bytes; where a scale would not be finite, its top exponent bit is cleared."""
    words = (size + 7) // 8
    raw = splitmix64(seed, count * words).view(np.uint8).reshape(count, words * 8)[:, :size].copy()
    for place in scale_places:
        bad = (raw[:, place + 1] & 0x7C) == 0x7C
        raw[bad, place + 1] ^= 0x40
    return raw


def weighted_sum(start, values):
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).ravel().astype(np.uint64)
    with np.errstate(over="ignore"):
        index = np.arange(start, start + bits.size, dtype=np.uint64)
        weight = (index * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
        return int((bits * weight).sum(dtype=np.uint64))


def main():
    rows = []
    for name, (size, places, count) in TYPES.items():
        kind = gguf.GGMLQuantizationType[name]
        elements = gguf.GGML_QUANT_SIZES[kind][0]
        assert gguf.GGML_QUANT_SIZES[kind][1] == size
        total, head = 0, None
        for piece in range(count // PIECE):
            raw = blocks_of((int(kind) << 32) + piece * 1000003, PIECE, size, places)
            values = gguf.quants.dequantize(raw, kind)
            if head is None:
                head = values.astype(np.float32).ravel()[:elements]
            total = (total + weighted_sum(piece * PIECE * elements, values)) % 2**64
        rows.append(dict(type=int(kind), name=name, blocks=count, piece=PIECE, scales=places, sum=f"{total:016x}",
                         head=head.tobytes().hex()))
        print(name, f"{total:016x}", flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    document = dict(made_by="tests/tools/make_gguf_fixtures.py", types=rows)
    OUT.write_text("{" + ",\n".join(f'"{k}":{json.dumps(v)}' for k, v in document.items()) + "}\n")


if __name__ == "__main__":
    main()
