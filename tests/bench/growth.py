#!/usr/bin/env python3
"""How the cost of a step grows: step_bench over ranks, lengths and threads, one table.

    growth.py [--ranks 8,64,256] [--lengths 128,512,2048,8192] [--threads 1,2] [--program STEP_BENCH] [--json FILE] [-- more of step_bench]

A row is one step of one row of LENGTH tokens. `share of peak` is of the unit's peak measured in the same process. The last
columns say where the time goes: products of frozen weights and adapters (they grow with tokens, adapters with rank too),
attention (with the square of the length), the head (with tokens and vocabulary), the optimizer (with rank alone) and the
rest, which is memory traffic per token.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

GROUPS = {"linears": "adapted_linear", "attention": "attention", "head": "linear_cross_entropy", "optimizer": ("adamw", "gradient_norm")}
STEPS = {8192: 2, 4096: 3}  # the first is not counted


def group_of(op):
    return next((name for name, start in GROUPS.items() if op.startswith(start)), "rest")


def measured(args, rank, length, threads):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [args.program, "--no-generation", "--shape", f"{length}x1", "--rank", rank, "--threads", threads, "--steps", STEPS.get(length, 5), "--json", out.name, *args.more]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"growth.py: {' '.join(map(str, command))} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
        return json.load(open(out.name))


def shares(step):
    sums = dict.fromkeys([*GROUPS, "rest"], 0.0)
    for op in step["ops"]:
        sums[group_of(op["op"])] += op["ms_per_step"]
    total = sum(sums.values())
    return {name: ms / total for name, ms in sums.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = lambda text: [int(word) for word in text.split(",")]
    parser.add_argument("--ranks", type=numbers, default=[8, 64, 256])
    parser.add_argument("--lengths", type=numbers, default=[128, 512, 2048, 8192])
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--program", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2] / "build/release/tests/step_bench")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("more", nargs="*")
    args = parser.parse_args()
    rows, machine = [], None
    print("| threads | rank | tokens | tokens/s | ms a step | share of peak | peak MB (planned) | policy | " + " | ".join([*GROUPS, "rest"]) + " |", flush=True)
    print("|---" * (9 + len(GROUPS)) + "|")
    for threads in args.threads:
        for rank in args.ranks:
            for length in args.lengths:
                report = measured(args, rank, length, threads)
                step, machine = report["steps"][0], report["machine"]
                part = shares(step)
                print(f"| {threads} | {rank} | {length} | {step['tokens_per_s']:.0f} | {step['median_ms']:.0f} | {step['share_of_peak']:.0%} | {step['peak_bytes'] / 1e6:.0f} "
                      f"({step['planned_bytes'] / 1e6:.0f}) | {step['policy']} | " + " | ".join(f"{share:.0%}" for share in part.values()) + " |", flush=True)
                rows.append({"threads": threads, "rank": rank, "length": length, "shares": part, "step": step})
    if args.json:
        args.json.write_text(json.dumps({"machine": {**machine, "threads": args.threads}, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
