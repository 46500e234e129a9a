#!/usr/bin/env python3
"""One stage of run.sh: stages.py STAGE --bundle FOLDER --out FOLDER [--limit SECONDS] [--small]; writes OUT/STAGE.json.

To add a stage: a function stage_<name>(bench) that returns its figures and appends what went wrong to bench.errors, and a
line in run.sh's list with its limit. Ends with 0 (well), 1 (failed) or 2 (skipped, with the reason).
"""
import argparse
import concurrent.futures
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from bench import Bench, Skip, cublas_folders, finish, last_line
from parity import stage_parity
from shapes import card_figures

HERE = pathlib.Path(__file__).resolve().parent
AT_ONCE = 4  # tests that run beside one another: they are bound by the host's side of the comparison

# Small cases that between them launch every kernel; each runs under each tool.
SANITIZED = [
    ("adamw_cuda", "takesAnyShape"),
    ("adapted_linear_cuda", "residualInPlaceAndNoInputGradient"),
    ("attention_cuda", "packedDocumentsEqualSeparateOnes"),
    ("attention_cuda", "rowsThatAreNotAlignedGiveTheSame"),
    ("attention_step_cuda", "stridedCachesAndNoTexts"),
    ("decode_cuda", "groupsOfScalesOfAnySize"),
    ("few_rows_cuda", "aTokenDoesNotSeeTheOthers"),
    ("elementwise_cuda", "gapsBetweenRowsStayAsTheyAre"),
    ("layer_norm_cuda", "addsToTheGradientThatIsThere"),
    ("linear_cross_entropy_cuda", "chunksAndPanels"),
    ("rms_norm_cuda", "addsToTheGradientThatIsThere"),
    ("rope_cuda", "readsTheTableWithGaps"),
    ("square_sum_cuda", "tensorsMayBeginAnywhere"),
    ("swiglu_cuda", "takesRowsWithGaps"),
    ("trainer_cuda", "nothingIsLeftOnTheDevice"),
    ("trainer_cuda", "aRecordedPassHasTheSameBits"),
]
TOOLS = {"memcheck": ["--report-api-errors", "no"], "racecheck": [], "synccheck": []}


def output_of(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def nvidia_smi(fields):
    """The first card, field by field; empty without the tool."""
    lines = output_of(["nvidia-smi", "--query-gpu=" + ",".join(fields), "--format=csv,noheader,nounits"]).splitlines()
    values = [v.strip() for v in lines[0].split(",")] if lines else []
    if len(values) == len(fields) and not values[0].startswith("Field"):
        return dict(zip(fields, values))
    # A field that this driver does not know spoils the whole answer.
    return {k: v for f in fields for k, v in nvidia_smi([f]).items()} if len(fields) > 1 and lines else {}


def stage_device(bench):
    fields = ["name", "compute_cap", "driver_version", "memory.total", "memory.used", "clocks.sm", "clocks.mem", "clocks.max.sm", "clocks.max.mem",
              "power.draw", "power.limit", "temperature.gpu", "ecc.mode.current", "ecc.errors.uncorrected.volatile.total", "mig.mode.current"]
    card = nvidia_smi(fields)
    others = output_of(["nvidia-smi", "--query-compute-apps=pid,name,used_memory", "--format=csv,noheader"]).splitlines()
    others = [line for line in others if line[:1].isdigit()]
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    data = {"card": card, "other_processes": others, "nvcc": last_line(output_of([nvcc, "--version"])), "cublas": cublas_folders(),
            "system": output_of(["uname", "-srm"]), "libc": output_of(["getconf", "GNU_LIBC_VERSION"]), "cpus": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 1e-9, 1), "python": sys.version.split()[0]}
    manifest = bench.bundle / "manifest.txt"
    data["bundle"] = manifest.read_text().splitlines() if manifest.exists() else []
    if not card:
        bench.errors.append("nvidia-smi shows no card")
    if others:
        bench.errors.append(f"{len(others)} other processes use the card: figures are worth little")
    if card.get("ecc.errors.uncorrected.volatile.total", "0") not in ("0", "[N/A]", "N/A"):
        bench.errors.append("the card reports uncorrected memory errors")
    return data


def qt_results(text):
    """Qt Test's own output, whole or broken off: counts, and every line that is not a plain pass."""
    cases = re.findall(r"^(PASS|FAIL!|XPASS|SKIP|BFAIL|QFATAL|QINFO|QDEBUG)\s*:\s*\w+::(\S.*)$", text, re.M)
    totals = re.search(r"^Totals: (\d+) passed, (\d+) failed, (\d+) skipped.*?(?:, (\d+)ms)?$", text, re.M)
    kind = lambda *names: [what.strip() for result, what in cases if result in names]
    return {"passed": len(kind("PASS")), "failed": kind("FAIL!", "XPASS", "QFATAL"), "skipped": kind("SKIP"), "said": kind("QINFO"),
            "whole": totals is not None, "ms": int(totals[4]) if totals and totals[4] else None}


def run_test(bench, stem, path):
    code, text = bench.run([path, "-maxwarnings", "0"], f"kernels-{stem}", 90)
    got = qt_results(text)
    wrong = None
    if code is None or not got["whole"]:
        wrong = f"did not come to its end ({code}): {last_line(text)}"
    elif any(s.startswith("initTestCase") for s in got["skipped"]):
        wrong = f"skipped: {got['skipped'][0]}"
    elif code != 0 or got["failed"]:
        wrong = f"{len(got['failed'])} failed: {', '.join(got['failed'][:3])}"
    return stem, {**got, "code": code, "wrong": wrong}


def stage_kernels(bench):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results = dict(pool.map(lambda t: run_test(bench, *t), bench.tests().items()))
    bench.errors += [f"{stem}: {r['wrong']}" for stem, r in results.items() if r["wrong"]]
    return {"tests": results, "passed": sum(r["passed"] for r in results.values()), "failed": sum(len(r["failed"]) for r in results.values())}


def sanitizer():
    places = [shutil.which("compute-sanitizer"), *glob.glob("/usr/local/cuda*/bin/compute-sanitizer"), *glob.glob("/opt/nvidia/*/*/compute-sanitizer")]
    found = [p for p in places if p]
    if not found:
        raise Skip("compute-sanitizer is not installed here")
    return found[0]


def run_sanitized(bench, tool, path, function):
    command = [sanitizer(), "--tool", tool, *TOOLS[tool], "--error-exitcode", "9", path, function]
    code, text = bench.run(command, f"{tool}-{path.name.removesuffix('_gpu_test')}-{function}", 60)
    summary = re.findall(r"^=+ (?:ERROR SUMMARY|RACECHECK SUMMARY): .*$", text, re.M)
    return {"tool": tool, "test": path.name, "case": function, "code": code, "summary": summary[-1].strip("= ") if summary else last_line(text),
            "refused": "Device not supported" in text}


def stage_sanitizer(bench):
    tests = bench.tests()
    work = [(tool, tests[stem], function) for tool in TOOLS for stem, function in SANITIZED if stem in tests]
    first = run_sanitized(bench, *work[0])
    if first["refused"]:
        raise Skip("compute-sanitizer does not support this device (a virtual machine without its interface)")
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results = [first, *pool.map(lambda w: run_sanitized(bench, *w), work[1:])]
    bench.errors += [f"{r['tool']} {r['test']} {r['case']}: {r['summary']}" for r in results if r["code"] != 0]
    bench.errors += [f"{stem} is not in the bundle" for stem, _ in SANITIZED if stem not in tests]
    return {"runs": results}


def step(bench, log, seconds=None, **options):
    """step_gpu with --name value for each option."""
    words = [w for name, value in options.items() for w in ([f"--{name}"] if value is True else [f"--{name}", value])]
    return bench.json_of([bench.program("step_gpu"), *words], log, seconds)


def stage_determinism(bench):
    kinds = [dict(shape="135m", length=512, rows=2, accumulation=2, steps=4), dict(shape="135m", length=512, rows=1, steps=3, compute="f32"),
             dict(shape="1b", length=512, rows=1, steps=3, policy="full"),
             dict(shape="135m", length=512, rows=1, steps=6, compute="f16")]
    if bench.small:
        kinds = [dict(shape="tiny", length=20, rows=2, steps=2, rank=4)]
    table = []
    for i, options in enumerate(kinds):
        runs = [step(bench, f"determinism-{i}-{turn}", **options) for turn in (1, 2)]
        if None in runs:
            continue
        same = runs[0]["losses"] == runs[1]["losses"]
        table.append({**options, "losses": runs[0]["losses"], "same": same})
        if not same:
            bench.errors.append(f"{options['shape']}: two runs gave {runs[0]['losses']} and {runs[1]['losses']}")
    return {"runs": table}


def stage_ops(bench):
    got = bench.json_of([bench.program("ops_gpu"), *(["--small"] if bench.small else ["--tokens", 4096])], "ops")
    if got and (figures := card_figures(got["device"])):
        flops, moved = figures
        for op in got["ops"]:
            op["share_of_vendor"] = (op["flops"] / flops if op["flops"] else op["bytes"] / moved) / (op["us"] * 1e-6)
    return got


def step_plan(bench):
    """(key, options): the figures of the goals first, large models last."""
    if bench.small:
        tiny = dict(shape="tiny", rank=4, steps=2, rows=1, policy="full")
        return [("135m", {**tiny, "length": 20}), ("8b-memory-short", {**tiny, "length": 16}), ("8b-memory-long", {**tiny, "length": 32})]
    eight = dict(shape="8b", length=4096, rows=2, rank=16, steps=5)
    memory = dict(shape="8b", rows=1, rank=32, steps=2, policy="offload")
    small = dict(shape="135m", length=512, rows=1, steps=20)
    return [("135m", small), ("135m-one-by-one", {**small, "one-by-one": True}), ("135m-f16", {**small, "compute": "f16"}), ("8b", eight), ("8b-full", {**eight, "policy": "full", "steps": 4}),
            ("8b-memory-short", {**memory, "length": 4096}), ("8b-memory-long", {**memory, "length": 16384}), ("1b", dict(shape="1b", length=4096, rows=2, steps=5)),
            ("8b-short", {**eight, "length": 512, "rows": 1}), ("65b", dict(shape="65b", length=512, rows=1, rank=16, steps=2, policy="full")),
            ("70b", dict(shape="70b", length=512, rows=1, rank=16, steps=2, policy="full"))]


def stage_steps(bench):
    results = {}
    free = nvidia_smi(["memory.total"]).get("memory.total", "")
    for key, options in step_plan(bench):
        large = key in ("65b", "70b")
        if large and (bench.remaining() < 40 or float(free or 0) < 47000):
            results[key] = {"not_run": "too little time or memory"}
            continue
        results[key] = step(bench, f"steps-{key}", **options) or {"failed": True}
    return results


def stage_memory(bench):
    """Fixed and per-token memory of the 8B steps, a straight line through two lengths."""
    steps = (bench.read("steps") or {"data": {}})["data"] or {}
    short, long = steps.get("8b-memory-short", {}), steps.get("8b-memory-long", {})
    if "peak_bytes" not in short or "peak_bytes" not in long:
        raise Skip("the stage steps has not measured two lengths")
    tokens = [s["rows"] * s["length"] for s in (short, long)]
    slope = (long["peak_bytes"] - short["peak_bytes"]) / (tokens[1] - tokens[0])
    table = [{"run": key, **{f: s.get(f) for f in ("rank", "policy", "weight_bytes", "peak_bytes", "reserved_bytes")}, "tokens": s["rows"] * s["length"]}
             for key, s in steps.items() if "peak_bytes" in s]
    return {"token_bytes": slope, "fixed_bytes": short["peak_bytes"] - slope * tokens[0], "lengths": tokens, "table": table}


def stage_peers(bench):
    out = bench.out / "logs/peers-figures.json"
    command = [sys.executable, HERE / "peers.py", "--json", out, "--limit", int(bench.remaining() - 5)] + (["--small"] if bench.small else [])
    code, text = bench.run(command, "peers", ours=False)
    if code == 3:
        raise Skip(last_line(text))
    if code != 0:
        bench.errors.append(f"peers.py ended with {code}: {last_line(text)}")
    return json.loads(out.read_text()) if out.exists() else None


def stage_build(bench):
    """For a bare machine: compiler, CMake and nvcc; headers and libraries from the bundle."""
    folder = bench.folders[0].parent
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    architecture = nvidia_smi(["compute_cap"]).get("compute_cap", "9.0").replace(".", "")
    configure = ["cmake", "-S", HERE / "bare", "-B", folder, f"-DLORIKEET_BUNDLE={bench.bundle}", f"-DCMAKE_CUDA_COMPILER={nvcc}",
                 f"-DCMAKE_CUDA_ARCHITECTURES={architecture}-real", *(["-G", "Ninja"] if shutil.which("ninja") else [])]
    for log, command in (("build-configure", configure), ("build", ["cmake", "--build", folder, "--parallel", os.cpu_count()])):
        code, text = bench.run(command, log, ours=False)
        if code != 0:
            bench.errors.append(f"{log} ended with {code}: {last_line(text)}")
            break
    return {"folder": str(folder), "architecture": architecture}


def main():
    stages = {name.removeprefix("stage_"): f for name, f in globals().items() if name.startswith("stage_")}
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("stage", choices=sorted(stages))
    p.add_argument("--bundle", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--limit", type=float, default=600)
    p.add_argument("--model", default="", help="a model for the stage parity; empty takes one of the bundle")
    p.add_argument("--programs", action="append", default=[], help="a folder of programs, searched before the bundle's")
    p.add_argument("--small", action="store_true", help="tiny shapes: for trying this without a card")
    args = p.parse_args()
    bench, began = Bench(args.bundle, args.out, args.limit, args.small, args.model, args.programs), time.monotonic()
    try:
        return finish(bench, args.stage, stages[args.stage](bench), began)
    except Skip as reason:
        return finish(bench, args.stage, None, began, str(reason))
    except Exception as failure:  # a stage that breaks must not take the others with it
        bench.errors.append(f"{type(failure).__name__}: {failure}")
        return finish(bench, args.stage, None, began)


if __name__ == "__main__":
    sys.exit(main())
