#!/usr/bin/env python3
"""Registers, shared memory and spills of kernels, from what `nvcc -Xptxas -v` prints.

    spills.py [LOG]... [--budget BYTES] [--allow PATTERN=BYTES]... [--json FILE] [--quiet]

Without a LOG it reads stdin. A kernel may spill (stores and loads together) up to the budget, or up to what the first
pattern allows that fits "name architecture" (a regular expression). Ends with 1 when one spills more, with 2 when the log
names no kernel at all. --quiet lists only those with spills.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

# Kernels that may spill more than the budget, in bytes, each with its reason. The fewer the better.
ALLOWED = {
    r"^few_rows_kernel<CodedSource<8>, 8> sm_90$": 20,  # five words at the limit of 64 registers; fewer warps would cost more
}

ENTRY = re.compile(r"Compiling entry function '(?P<name>[^']+)' for '(?P<architecture>sm_\w+)'")
SPILL = re.compile(r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads")
USED = re.compile(r"Used (?P<registers>\d+) registers")
SHARED = re.compile(r"(?P<bytes>\d+) bytes smem")


def kernels_of(lines):
    """One record per kernel and architecture. What a called function spills counts as its kernel's."""
    found, now = [], None
    for line in lines:
        if m := ENTRY.search(line):
            now = {"name": m["name"], "architecture": m["architecture"], "registers": 0, "shared": 0, "stack": 0, "stores": 0, "loads": 0}
            found.append(now)
        elif now and (m := SPILL.search(line)):
            for key in ("stack", "stores", "loads"):
                now[key] += int(m[key])
        elif now and (m := USED.search(line)):
            now["registers"] = max(now["registers"], int(m["registers"]))
            if m := SHARED.search(line):
                now["shared"] = int(m["bytes"])
    return found


def readable(names):
    """Mangled name to source name, without namespaces and parameters; as it is where c++filt is missing."""
    names = sorted(set(names))
    if not names or not shutil.which("c++filt"):
        return {n: n for n in names}
    plain = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout.splitlines()
    return {n: short(p) for n, p in zip(names, plain)}


def short(name):
    name = name.removeprefix("void ").replace("(anonymous namespace)::", "").replace("lorikeet::cuda::", "")
    depth = 0
    for i, letter in enumerate(name):  # the first bracket outside the template's arguments opens the parameters
        depth += {"<": 1, ">": -1}.get(letter, 0)
        if letter == "(" and depth == 0:
            return name[:i]
    return name


def allowed_bytes(kernel, allowed, budget):
    what = f"{kernel['kernel']} {kernel['architecture']}"
    return next((limit for pattern, limit in allowed.items() if re.search(pattern, what)), budget)


def judge(kernels, allowed, budget):
    for k in kernels:
        k["spilled"] = k["stores"] + k["loads"]
        k["allowed"] = allowed_bytes(k, allowed, budget)
    return [k for k in kernels if k["spilled"] > k["allowed"]]


def print_table(kernels, quiet):
    shown = [k for k in kernels if k["spilled"] or not quiet]
    if shown:
        print(f"{'architecture':<12} {'registers':>9} {'shared':>7} {'stack':>6} {'spilled':>8}  kernel")
    for k in sorted(shown, key=lambda k: (k["kernel"], k["architecture"])):
        print(f"{k['architecture']:<12} {k['registers']:>9} {k['shared']:>7} {k['stack']:>6} {k['spilled']:>8}  {k['kernel']}")


def read(logs):
    if not logs:
        return sys.stdin.read().splitlines()
    return [line for log in logs for line in pathlib.Path(log).read_text(errors="replace").splitlines()]


def pattern_and_bytes(text):
    pattern, _, limit = text.rpartition("=")
    if not pattern or not limit.isdigit():
        raise argparse.ArgumentTypeError(f"{text}: wanted PATTERN=BYTES")
    return pattern, int(limit)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("log", nargs="*")
    p.add_argument("--budget", type=int, default=0)
    p.add_argument("--allow", action="append", default=[], type=pattern_and_bytes, metavar="PATTERN=BYTES")
    p.add_argument("--json")
    p.add_argument("--quiet", action="store_true")
    args = p.parse_args()
    kernels = kernels_of(read(args.log))
    if not kernels:
        print("spills.py: no kernel is named there; was nvcc called with -Xptxas -v, and was anything compiled?", file=sys.stderr)
        return 2
    names = readable(k["name"] for k in kernels)
    for k in kernels:
        k["kernel"] = names[k["name"]]
    over = judge(kernels, {**ALLOWED, **dict(args.allow)}, args.budget)
    print_table(kernels, args.quiet)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(kernels, indent=1) + "\n")
    for k in over:
        print(f"spills.py: {k['kernel']} ({k['architecture']}) spills {k['spilled']} bytes, {k['allowed']} are allowed", file=sys.stderr)
    print(f"{len(kernels)} kernels, {sum(1 for k in kernels if k['spilled'])} spill, {len(over)} more than they may")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
