#!/usr/bin/env python3
"""What a step of QLoRA should take on a card, kernel by kernel, and where the memory goes. A projection, not a measurement.

    projection.py [--card H200] [--shape 8b] [--rows 2] [--length 4096] [--rank 16] [--markdown]

A kernel takes the larger of two times: its operations over a share of the card's bf16 peak, and the bytes it must move
over a share of the bandwidth. The shares are assumptions and stand in SHARES; change one with --share name=0.6. Formulas
of operations and bytes: one layer as the sources compute it (cuda/ops), rows of bf16 beside a residual stream in f32,
policy norms+swiglu, weights decoded once forward and once backward.
"""
import argparse

from shapes import SHAPES, card_figures

# Of the vendor's figures. Products: 8192 x 8192 x 8192 through cuBLASLt reaches 0.78 to 0.80 on an H200.
SHARES = {"product": 0.70, "attention": 0.35, "attention_backward": 0.30, "decode": 0.85, "bytes": 0.80}
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)  # a weight, with double quantisation in blocks of 64 and 256
BF16, F32 = 2, 4
MLP_TILE, GROUP_TILES, MOST_GROUPS = 2048, 16, 4  # core/models/model.h


class Step:
    """Rows (kernel, calls, FLOPs, bytes, seconds) of one step."""

    def __init__(self, card, shares):
        self.flops_rate, self.bytes_rate = card_figures(card)
        self.shares, self.rows = shares, []

    def add(self, kernel, calls, flops, moved, unit=None):
        """`flops` and `moved` for one call; `unit`: the share its operations run at."""
        bound = self.shares["decode"] if unit == "decode" else self.shares["bytes"]
        seconds = moved / (self.bytes_rate * bound)
        if flops and unit != "decode":
            seconds = max(seconds, flops / (self.flops_rate * self.shares[unit]))
        self.rows.append((kernel, calls, flops * calls, moved * calls, seconds * calls))

    def seconds(self):
        return sum(row[4] for row in self.rows)


def add_linears(step, s, tokens, rank):
    shapes, layers = s.linears(), s.layers
    flops = sum(2 * tokens * out * inputs for _, out, inputs in shapes)
    weights = sum(out * inputs for _, out, inputs in shapes)
    read, wide = sum(i for _, _, i in shapes), sum(o for _, o, _ in shapes)
    rows = BF16 * tokens * (read + wide)
    step.add("decode NF4, forward", layers, 0, weights * (NF4_BYTES + BF16), "decode")
    step.add("products of frozen weights, forward", layers, flops, weights * BF16 + rows, "product")
    # x A^T reads x once more; h B^T writes y, which the base's product then reads: two passes over each.
    small = 2 * tokens * rank * (read + wide)
    step.add("adapter, forward", layers, small, BF16 * tokens * (read + 2 * wide), "product")
    step.add("decode NF4, backward", layers, 0, weights * (NF4_BYTES + BF16), "decode")
    step.add("products of frozen weights, backward", layers, flops, weights * BF16 + rows, "product")
    # dy for u and for dB, x for dA, dx written by the adapter and read by the base.
    step.add("adapter, backward", layers, 3 * small, BF16 * tokens * (2 * wide + 3 * read), "product")


def add_attention(step, s, rows, length):
    flops = rows * 2 * s.q * length * (length + 1)
    moved = BF16 * rows * length * (2 * s.q + 2 * s.kv)
    step.add("attention, forward", s.layers, flops, moved, "attention")
    # Counted as the formula's five products; the kernels make seven, so that no sum needs atomics. The share knows that.
    step.add("attention, backward", s.layers, 2.5 * flops, 3 * moved, "attention_backward")


def add_rows(step, s, tokens):
    """What reads and writes rows only; bytes an element as the ops' headers say."""
    c, f, heads = tokens * s.hidden, tokens * s.feed_forward, tokens * (s.q + s.kv)
    step.add("rms norm, forward and again", 4 * s.layers, 0, 6 * c)
    step.add("rms norm, backward", 2 * s.layers, 0, 16 * c)
    step.add("rope, both ways", 2 * s.layers, 0, 6 * heads)
    step.add("swiglu, forward and again", 2 * s.layers, 0, 6 * f)
    step.add("swiglu, backward", s.layers, 0, 10 * f)
    step.add("residual: read and written by o and down; gradients rounded", 2 * s.layers, 0, (8 + 6) * c)
    step.add("embedding", 1, 0, 6 * c)


def add_ends(step, s, tokens, rank):
    # Logits of a chunk in f32: written, read twice, factors written in bf16, read.
    step.add("head and loss, both ways", 1, 4 * tokens * s.hidden * s.vocabulary, tokens * s.vocabulary * (3 * F32 + 2 * BF16), "product")
    step.add("gradient norm and AdamW", 1, 0, (4 + 28) * s.adapter_weights(rank))


def step_of(card, shape, rows, length, rank, shares=None):
    step, s, tokens = Step(card, {**SHARES, **(shares or {})}), SHAPES[shape], rows * length
    add_linears(step, s, tokens, rank)
    add_attention(step, s, rows, length)
    add_rows(step, s, tokens)
    add_ends(step, s, tokens, rank)
    return step


def fixed_bytes(shape, rank):
    """Memory that does not depend on the tokens, by part."""
    s = SHAPES[shape]
    adapter = s.adapter_weights(rank)
    widest = max(out * inputs for _, out, inputs in s.linears())
    return {
        "weights in NF4": s.linear_weights() * NF4_BYTES,
        "head in bf16": s.head_weights() * BF16,
        "adapter and its gradients, f32": adapter * 2 * F32,
        "moments of AdamW, f32": adapter * 2 * F32,
        "a decoded weight": widest * BF16,
        "room of cuBLASLt": 32 * 2 ** 20,
    }


def token_bytes(shape, rank, policy):
    """Bytes a token between forward and backward, and the most that comes on top: core/models/activation_bytes.cpp, for bf16.

    full and offload: for batches so long that attention's gradients are made for a part of the heads at a time (from
    GROUP_TILES tiles on); a tile of the MLP comes on top once (tile_bytes).
    """
    s = SHAPES[shape]
    c, f, q, k = s.hidden, s.feed_forward, s.q, s.kv
    final_norm = (c + 1) * F32
    attention = F32 + (c * BF16 if policy == "none" else 0) + 4 * rank * BF16 + (2 * q + 2 * k) * BF16 + s.heads * F32
    if policy in ("full", "offload"):  # the block's input alone is kept; the gradient of the output beside the MLP's input or attention's sums
        groups = max(g for g in range(1, MOST_GROUPS + 1) if s.kv_heads % g == 0)
        work = attention + c * F32 + max(c * F32, q * BF16 + ((q + k) / groups + k) * F32 + 2 * s.heads * F32)
        inputs = s.layers if policy == "full" else 1  # on its way back besides, with offload: the input of the block before
        return inputs * c * F32 + final_norm, work - final_norm + (c * F32 if policy == "offload" else 0)
    again = policy in ("norms+swiglu", "mlp")
    halves = 0 if policy == "mlp" else 2 * f * BF16
    mlp = (c + 1) * F32 + (0 if again else c * BF16) + 3 * rank * BF16 + halves + (0 if again else f * BF16)
    made_again = (2 * f + c) * BF16 if policy == "mlp" else 0
    product_again = f * BF16 + made_again if again else 0
    in_mlp = attention + mlp + c * F32 + f * BF16 + max(c * BF16 + 3 * rank * BF16 + product_again, made_again)
    in_attention = attention + c * F32 + q * BF16 + (q + 2 * k) * F32 + 2 * s.heads * F32
    own = attention + mlp
    return s.layers * (own + c * F32) + final_norm, max(in_mlp, in_attention) - own - final_norm


def tile_bytes(shape, rank):
    """What a tile of the MLP takes at most under full and offload: its norm, gate, up, product and their gradients."""
    s = SHAPES[shape]
    return MLP_TILE * (F32 + (2 * s.hidden + 4 * s.feed_forward + 6 * rank) * BF16)


def table(rows, markdown):
    lines = ["| kernel | calls | TFLOP | GB | ms |", "|---|---:|---:|---:|---:|"] if markdown else [f"{'kernel':<62} {'calls':>5} {'TFLOP':>8} {'GB':>7} {'ms':>8}"]
    for kernel, calls, flops, moved, seconds in rows:
        cells = (kernel, calls, f"{flops * 1e-12:.1f}", f"{moved * 1e-9:.1f}", f"{seconds * 1e3:.1f}")
        lines.append("| {} | {} | {} | {} | {} |".format(*cells) if markdown else "{:<62} {:>5} {:>8} {:>7} {:>8}".format(*cells))
    return lines


def memory_lines(shape, rank, markdown):
    mark = "| {:<36} | {:>10} |" if markdown else "{:<38} {:>10}"
    parts = fixed_bytes(shape, rank)
    lines = [mark.format(f"{shape}, rank {rank}", "GB")] + (["|---|---:|"] if markdown else [])
    lines += [mark.format(name, f"{value * 1e-9:.2f}") for name, value in parts.items()]
    lines.append(mark.format("sum", f"{sum(parts.values()) * 1e-9:.2f}"))
    lines.append(mark.format("a tile of the MLP, full and offload", f"{tile_bytes(shape, rank) * 1e-9:.2f}"))
    for policy in ("none", "norms+swiglu", "mlp", "full", "offload"):
        saved, live = token_bytes(shape, rank, policy)
        lines.append(mark.format(f"a token, {policy}: kept + at work", f"{saved * 1e-3:.0f} + {live * 1e-3:.0f} KB"))
    return lines


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--card", default="H200")
    p.add_argument("--shape", default="8b", choices=sorted(SHAPES))
    for name, default in (("--rows", 2), ("--length", 4096), ("--rank", 16)):
        p.add_argument(name, type=int, default=default)
    p.add_argument("--share", action="append", default=[], metavar="NAME=VALUE", help=", ".join(f"{k} {v}" for k, v in SHARES.items()))
    p.add_argument("--markdown", action="store_true")
    args = p.parse_args()
    shares = {name: float(value) for name, value in (s.split("=") for s in args.share)}
    if unknown := set(shares) - set(SHARES):
        p.error(f"unknown share {', '.join(sorted(unknown))}")
    if card_figures(args.card) is None:
        p.error(f"the figures of {args.card} are not listed in shapes.py")
    step = step_of(args.card, args.shape, args.rows, args.length, args.rank, shares)
    total, tokens = step.seconds(), args.rows * args.length
    print(f"{args.card}, {args.shape}, {args.rows} x {args.length} tokens, rank {args.rank}; projection, not measured\n")
    print("\n".join(table(step.rows, args.markdown)))
    print(f"\nsum {total * 1e3:.0f} ms, {tokens / total:.0f} tokens/s\n")
    print("\n".join(memory_lines(args.shape, args.rank, args.markdown)))


if __name__ == "__main__":
    main()
