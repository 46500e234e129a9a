#!/usr/bin/env python3
"""Writes tests/data/quant/bitsandbytes.json: what bitsandbytes (CPU) makes of matrices that the test can rebuild.

Needs torch and bitsandbytes; run once, the result is committed:
    python tests/tools/make_bnb_fixtures.py
torch runs on one thread: above 32768 blocks the mean it takes of the block maxima depends on the number of threads.
Inputs come from integers (see `matrix`), so that C++ and Python hold the same f32 bits without storing them.
"""
import hashlib
import json
import pathlib
import struct

import bitsandbytes
import bitsandbytes.functional as bnb
import numpy as np
import torch

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "quant" / "bitsandbytes.json"


def splitmix64(seed, n):
    """n hashed counters as uint64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (np.arange(n, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def matrix(kind, n, block, seed):
    """Near-normal values: the sum of four 16-bit numbers, centred, times a power of two. All exact in f32."""
    z = splitmix64(seed, n)
    total = sum(((z >> np.uint64(16 * k)) & np.uint64(0xFFFF)).astype(np.int64) for k in range(4)) - 131070
    if kind == "coarse":  # few mantissa bits, so that values meet thresholds
        total = (total // 8192) * 8192
    w = total.astype(np.float32) * np.float32(2.0**-22)
    if kind == "zero_blocks":
        w[: 2 * block] = 0
        w[5 * block : 6 * block] = 0
    if kind == "constant":
        w[:] = np.float32(0.375)
    if kind == "zeros":
        w[:] = 0
    if kind == "tiny":
        w *= np.float32(2.0**-100)
    if kind == "outliers":
        w[:: 10 * block + 7] *= np.float32(64)
    return w


CASES = [("normal", 576, 576, 64), ("normal", 192, 576, 64), ("normal", 1536, 576, 64), ("normal", 576, 1536, 64),
         ("normal", 1600, 1600, 64), ("normal", 576, 576, 128), ("normal", 192, 576, 256), ("normal", 100, 100, 32),
         ("normal", 100, 100, 512), ("normal", 100, 100, 1024), ("normal", 100, 100, 2048), ("normal", 129, 127, 4096),
         ("normal", 3, 33, 64), ("normal", 7, 45, 32), ("normal", 5, 13, 64), ("normal", 1, 1, 64), ("normal", 1, 65, 64),
         ("normal", 33, 31, 64), ("normal", 17, 1000, 64), ("outliers", 192, 576, 64), ("zero_blocks", 64, 64, 64),
         ("zeros", 3, 33, 64), ("constant", 64, 64, 64), ("coarse", 192, 192, 64), ("coarse", 100, 99, 128),
         ("tiny", 64, 96, 64)]


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def decoded_by_definition(codes, state, n, block):
    """table[code] * scale. The library's own CPU routine takes wrong scales when blocks cross rows (0.50.2, AVX-512),
    so its result serves only as a check where rows are whole blocks."""
    scales = state.absmax
    if state.nested:
        scales = bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset
    flat = codes.numpy().ravel()
    index = np.stack([flat >> 4, flat & 15], 1).ravel()[:n]
    return state.code.numpy()[index] * np.repeat(scales.numpy(), block)[:n]


def case(kind, rows, columns, block, quant_type, nested, seed):
    w = torch.from_numpy(matrix(kind, rows * columns, block, seed)).reshape(rows, columns)
    codes, state = bnb.quantize_4bit(w, blocksize=block, quant_type=quant_type, compress_statistics=nested)
    decoded = decoded_by_definition(codes, state, rows * columns, block)
    if columns % block == 0:
        assert (decoded == bnb.dequantize_4bit(codes, state).numpy().ravel()).all()
    codes, absmax = codes.numpy().ravel(), state.absmax.numpy()
    row = dict(kind=kind, rows=rows, columns=columns, block=block, type=quant_type, nested=nested, seed=seed,
               codes=sha(codes), codes_head=codes[:24].tobytes().hex(), absmax=sha(absmax),
               absmax_head=absmax[:6].tobytes().hex(), decoded=sha(decoded.astype(np.float32)))
    if nested:
        row.update(nested_absmax=sha(state.state2.absmax.numpy()),
                   nested_absmax_head=state.state2.absmax.numpy()[:4].tobytes().hex(),
                   nested_offset=struct.pack("<f", state.offset.item()).hex())
    return row


def mean_errors():
    """Mean |w - decoded| of standard normal matrices, with its spread over trials, for each block size."""
    torch.manual_seed(7)
    rows = []
    for quant_type in ("nf4", "fp4"):
        for block in (32, 64, 128, 256, 512, 1024, 2048, 4096):
            trials = []
            for _ in range(12):
                w = torch.randn(512, 512)
                codes, state = bnb.quantize_4bit(w, blocksize=block, quant_type=quant_type)
                trials.append((w - bnb.dequantize_4bit(codes, state)).abs().mean().item())
            rows.append(dict(type=quant_type, block=block, mean=float(np.mean(trials)), sigma=float(np.std(trials, ddof=1))))
    return rows


def main():
    torch.set_num_threads(1)
    cases = [case(*c, quant_type, nested, 1000 + i)
             for i, c in enumerate(CASES) for quant_type in ("nf4", "fp4") for nested in (True, False)]
    maps = {t: bnb.get_4bit_type(t, device="cpu").numpy().astype(np.float32).tobytes().hex() for t in ("nf4", "fp4")}
    maps["dynamic"] = bnb.create_dynamic_map().numpy().astype(np.float32).tobytes().hex()
    document = dict(made_by="tests/tools/make_bnb_fixtures.py", bitsandbytes=bitsandbytes.__version__,
                    torch=torch.__version__, cpu=torch.backends.cpu.get_cpu_capability(), maps=maps, cases=cases,
                    mean_errors=mean_errors())
    OUT.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=0, separators=(",", ":"))
    OUT.write_text(text.replace(',\n"', ',"').replace("{\n", "{").replace("\n}", "}") + "\n")


if __name__ == "__main__":
    main()
