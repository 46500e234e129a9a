#!/usr/bin/env python3
"""Writes tests/data/optim/adamw8bit.json: the 8-bit maps and what bitsandbytes' AdamW8bit (CPU) makes of gradients that
the test can rebuild.

Needs torch and bitsandbytes; run once, the result is committed:
    python tests/tools/make_adamw8bit_fixtures.py
Values come from integers (see `values`), so that C++ and Python hold the same f32 bits without storing them.
"""
import hashlib
import json
import pathlib

import bitsandbytes
import bitsandbytes.functional as bnb
import numpy as np
import torch

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "optim" / "adamw8bit.json"
STEPS = 30


def splitmix64(seed, n):
    """n hashed counters as uint64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + (np.arange(n, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def values(n, seed):
    """Sign and 15 bits times a power of two from 2^-15 to 2^0: magnitudes over nine decades, exact in f32."""
    z = splitmix64(seed, n)
    whole = (z & np.uint64(0xFFFF)).astype(np.int64) - 32768
    return np.ldexp(whole.astype(np.float32), -15 - ((z >> np.uint64(16)) & np.uint64(15)).astype(np.int32))


def gradient(n, seed, step):
    """Zeros all over at step 3; the second block is always zero, the third almost (its squares leave f32's range)."""
    g = values(n, seed + 1000 * step)
    if step == 3:
        g[:] = 0
    g[256:512] = 0
    g[512:768] *= np.float32(2.0**-62)
    return g


def run(n, seed, lr, beta1, beta2, eps, decay, clip):
    p = torch.from_numpy(values(n, seed)).requires_grad_(True)
    optimizer = bitsandbytes.optim.AdamW8bit([p], lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=decay)
    digests = []
    for step in range(1, STEPS + 1):
        p.grad = torch.from_numpy(gradient(n, seed, step) * np.float32(clip))
        optimizer.step()
        state = optimizer.state[p]
        if n >= 4096:
            bits = b"".join(state[k].numpy().tobytes() for k in ("state1", "state2", "absmax1", "absmax2"))
            digests.append(hashlib.sha256(bits).hexdigest())
    return {"n": n, "seed": seed, "lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "decay": decay, "clip": clip,
            "dtype": str(state["state1"].dtype), "state_sha256": digests, "p": p.detach().numpy().tobytes().hex()}


def main():
    cases = [run(4097, 1, 1e-2, 0.9, 0.999, 1e-8, 0.05, 1.0), run(4096, 2, 2e-4, 0.9, 0.95, 1e-8, 0.0, 0.375),
             run(5000, 3, 5e-3, 0.8, 0.99, 1e-6, 0.0, 1.0), run(4095, 4, 1e-2, 0.9, 0.999, 1e-8, 0.05, 1.0)]
    maps = {name: bnb.create_dynamic_map(signed).numpy().tobytes().hex() for name, signed in (("signed", True), ("unsigned", False))}
    result = {"bitsandbytes": bitsandbytes.__version__, "torch": torch.__version__.split("+")[0], "maps": maps}
    OUT.write_text(json.dumps(result)[:-1] + ', "cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")


if __name__ == "__main__":
    main()
