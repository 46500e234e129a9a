#!/usr/bin/env python3
"""Our training step against PyTorch + PEFT (+ bitsandbytes) on this machine's CPU, the two in turn; prints the ratios.

    peer.py setup DIR                 makes DIR/venv (torch, transformers, peft, bitsandbytes) and DIR/model, the default
                                      model as a Hugging Face folder in bf16; both outside the repository
    peer.py run DIR [--rounds 3]      peer, ours, peer, ours, ...: a process each, ROUNDS times for every row
        --rows nf4-512,none-512       only these rows (peer.py list shows all); none-512-compile must be asked for by name
        --python PATH --model PATH    another virtual environment's python, another model folder
        --set key=value               a setting of ours on top, repeatable (for example training.checkpointing=full)
        --llama-bench PATH            also generation, against this binary of llama.cpp
        --json FILE                   keeps figures and machine; tests/bench/results/ holds those we report

One step on both sides: forward, backward, clipping to norm 1, AdamW at 2e-4, on `batch` rows of `tokens` random ids, every
token a target; LoRA of rank 16, alpha 32 on all linear layers of the blocks; the same base weights. The peer is a bare loop
around its model: no trainer, no data loader. Ours is the program a user runs, `lorikeet train`: it also reads the rows from
a file, checks the model's hash and writes checkpoints (outside the steps that are timed, inside the time to the first step).
tokens/s are of the median step after the first; peak RSS is what the system says of the whole process.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
REPOSITORY = HERE.parents[2]
PACKAGES = ["torch", "transformers", "peft", "bitsandbytes", "accelerate", "gguf", "safetensors", "sentencepiece"]
DEFAULT_GGUF = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "lorikeet/models/SmolLM2-135M-Instruct/SmolLM2-135M-Instruct.Q4_1.gguf"
RANK, ALPHA, RATE = 16, 32, 2e-4
# name: weights, number type of the products, tokens, rows, torch.compile on the peer's side
ROWS = {
    "nf4-512": ("nf4", "bf16", 512, 1, False),
    "none-512": ("none", "bf16", 512, 1, False),
    "nf4-2048": ("nf4", "bf16", 2048, 1, False),
    "none-2048": ("none", "bf16", 2048, 1, False),
    "none-512x4": ("none", "bf16", 512, 4, False),
    "nf4-f32-512": ("nf4", "f32", 512, 1, False),
    "none-f32-512": ("none", "f32", 512, 1, False),
    "none-512-compile": ("none", "bf16", 512, 1, True),
}
DEFAULT_ROWS = "nf4-512,none-512,nf4-2048,none-2048"


def setup(args):
    folder = pathlib.Path(args.folder).resolve()
    if folder.is_relative_to(REPOSITORY):
        sys.exit("peer.py: DIR must lie outside the repository")
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "venv/bin/python"
    if not python.exists():
        subprocess.check_call([sys.executable, "-m", "venv", folder / "venv"])
        subprocess.check_call([python, "-m", "pip", "install", "-q", *PACKAGES])
    if not pathlib.Path(args.gguf).exists():
        sys.exit(f"peer.py: {args.gguf} is not here; ./studio model fetches it, or give --gguf")
    subprocess.check_call([python, HERE, "convert", args.gguf, folder / "model"])
    print(f"{folder}/venv and {folder}/model are ready")


def convert(args):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    where, name = os.path.split(os.path.abspath(args.gguf))
    model = AutoModelForCausalLM.from_pretrained(where, gguf_file=name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True))
    model.save_pretrained(args.folder)
    AutoTokenizer.from_pretrained(where, gguf_file=name).save_pretrained(args.folder)


def peer_step(args):
    """The peer's process: prints one JSON line."""
    import torch
    import transformers
    import peft
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    dtype = {"bf16": torch.bfloat16, "f32": torch.float32}[args.dtype]
    quant = None
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    if args.quant == "nf4":
        import bitsandbytes
        versions["bitsandbytes"] = bitsandbytes.__version__
        quant = transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype)
    base = transformers.AutoModelForCausalLM.from_pretrained(args.model, quantization_config=quant, dtype=dtype, attn_implementation="sdpa")
    model = peft.get_peft_model(base, peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.0)
    forward = torch.compile(model) if args.compile else model
    seconds, first_step_ended = [], None
    for _ in range(args.steps):
        ids = torch.randint(0, base.config.vocab_size, (args.batch, args.tokens))
        began = time.monotonic()
        forward(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.monotonic() - began)
        first_step_ended = first_step_ended or time.time()
    print(json.dumps({"seconds": seconds, "first_step_ended": first_step_ended, "versions": versions,
                      "adapter_type": str(trained[0].dtype).removeprefix("torch.")}))


def run_process(command):
    """Runs to the end; (stdout, stderr, exit code, wall time of the start, peak resident bytes)."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = time.time()
        process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        return out.read(), err.read(), process.returncode, started, usage.ru_maxrss * 1024


def figures(seconds, tokens, first_step_s, peak):
    later = seconds[1:]
    return {"tokens_per_s": tokens / statistics.median(later), "best": tokens / min(later), "first_step_s": first_step_s, "peak_rss_bytes": peak}


def run_peer(args, row):
    quant, dtype, tokens, batch, compiled = row
    command = [args.python, HERE, "step", "--model", args.model, "--quant", quant, "--dtype", dtype, "--tokens", tokens, "--batch", batch,
               "--steps", args.steps, "--threads", args.threads] + (["--compile"] if compiled else [])
    out, err, code, started, peak = run_process(command)
    if code != 0:
        raise RuntimeError(f"the peer ended with {code}: {err.strip()[-400:]}")
    answer = json.loads(out.strip().splitlines()[-1])
    args.versions.update(answer["versions"])
    return {**figures(answer["seconds"], tokens * batch, answer["first_step_ended"] - started, peak), "adapter_type": answer["adapter_type"]}


def our_settings(args, row, rows_file):
    quant, dtype, tokens, batch, _ = row
    weights = {"nf4": "nf4", "none": "bf16" if dtype == "bf16" else "f32"}[quant]
    settings = {"model.path": args.model, "data.train": str(rows_file), "data.format": "tokens", "data.validation_fraction": 0, "data.packing": "false",
                "data.max_length": tokens, "quantization.format": weights, "adapter.rank": RANK, "adapter.alpha": ALPHA, "optimizer.learning_rate": RATE,
                "schedule.name": "constant", "schedule.warmup_ratio": 0, "training.batch_size": batch, "training.gradient_accumulation": 1,
                "training.max_steps": args.steps}
    chosen = [f"{key}={value}" for key, value in settings.items()] + args.set
    return [word for setting in chosen for word in ("--set", setting)] + ["--compute", dtype, "--threads", args.threads]


def run_ours(args, row):
    _, _, tokens, batch, _ = row
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        rows_file, run = pathlib.Path(folder) / "rows.jsonl", pathlib.Path(folder) / "run"
        with open(rows_file, "w") as f:
            for _ in range(args.steps * batch):
                ids = [draw.randrange(args.vocabulary) for _ in range(tokens)]
                f.write(json.dumps({"input_ids": ids, "labels": ids}) + "\n")
        out, err, code, started, peak = run_process([args.program, "train", *our_settings(args, row, rows_file), "--out", run, "--json", "--quiet"])
        if code != 0:
            raise RuntimeError(f"lorikeet train ended with {code}: {(err or out).strip()[-400:]}")
        steps = [line for line in map(json.loads, open(run / "metrics.jsonl")) if "step_ms" in line]
        policy = json.load(open(run / "run.json"))["policy"]
    result = figures([s["step_ms"] / 1e3 for s in steps], tokens * batch, steps[0]["time"] - started, peak)
    return {**result, "policy": policy}


def over_rounds(results):
    """One line for several processes of the same kind: medians, the best of all, the largest memory."""
    middle = lambda key: statistics.median(r[key] for r in results)
    return {"tokens_per_s": middle("tokens_per_s"), "best": max(r["best"] for r in results), "first_step_s": middle("first_step_s"),
            "peak_rss_bytes": max(r["peak_rss_bytes"] for r in results), "rounds": results}


def measure_row(args, name, row):
    quant, dtype, tokens, batch, compiled = row
    described = {"row": name, "tokens": tokens, "batch": batch,
                 "peer_computes": f"{'NF4 with double quantisation, decoded for each product' if quant == 'nf4' else dtype + ' weights'}; activations {dtype}, adapters as PEFT makes them (adapter_type), sdpa attention{', torch.compile' if compiled else ''}",
                 "ours_computes": f"{'NF4 with double quantisation, decoded for each product' if quant == 'nf4' else dtype + ' weights'}; products in {dtype}, sums, activations and adapters in f32"}
    peer, ours = [], []
    try:
        for number in range(args.rounds):
            print(f"{name}: round {number + 1} of {args.rounds}", file=sys.stderr)
            peer.append(run_peer(args, row))
            ours.append(run_ours(args, row))
    except RuntimeError as failure:
        return {**described, "error": str(failure)}
    a, b = over_rounds(ours), over_rounds(peer)
    ratios = {"tokens_per_s": a["tokens_per_s"] / b["tokens_per_s"], "best": a["best"] / b["best"],
              "peak_rss": b["peak_rss_bytes"] / a["peak_rss_bytes"], "first_step": b["first_step_s"] / a["first_step_s"]}
    return {**described, "ours": a, "peer": b, "ours_better_by": ratios}


def print_rows(rows):
    print(f"{'':<18} {'tokens/s':>19} {'best':>19} {'peak RSS, MB':>19} {'start to step, s':>19}")
    print(f"{'':<18}" + f" {'ours':>6} {'peer':>6} {'':>5}" * 4)
    for r in rows:
        if "error" in r:
            print(f"{r['row']:<18} {r['error']}")
            continue
        ours, peer, by = r["ours"], r["peer"], r["ours_better_by"]
        cells = [(ours["tokens_per_s"], peer["tokens_per_s"], by["tokens_per_s"], 0), (ours["best"], peer["best"], by["best"], 0),
                 (ours["peak_rss_bytes"] / 1e6, peer["peak_rss_bytes"] / 1e6, by["peak_rss"], 0), (ours["first_step_s"], peer["first_step_s"], by["first_step"], 1)]
        print(f"{r['row']:<18}" + "".join(f" {a:>6.{d}f} {b:>6.{d}f} {x:>4.1f}x" for a, b, x, d in cells))


def measure_generation(args):
    """tokens/s of a prompt of 512 and of writing 128, the GGUF as stored on both sides, in turn."""
    ours, peer = [], []
    for _ in range(args.rounds):
        out, err, code, _, peak = run_process([args.llama_bench, "-m", args.gguf, "-p", 512, "-n", 128, "-r", 2, "-t", args.threads, "-o", "json"])
        if code != 0:
            return {"error": f"llama-bench ended with {code}: {err.strip()[-400:]}"}
        tests = json.loads(out)
        peer.append({"prompt_tokens_per_s": next(t["avg_ts"] for t in tests if t["n_prompt"]), "tokens_per_s": next(t["avg_ts"] for t in tests if t["n_gen"]), "peak_rss_bytes": peak})
        with tempfile.NamedTemporaryFile(suffix=".json") as kept:
            _, err, code, _, peak = run_process([args.step_bench, "--model", args.gguf, "--no-steps", "--generation", "keep", "--threads", args.threads, "--json", kept.name])
            if code != 0:
                return {"error": f"step_bench ended with {code}: {err.strip()[-400:]}"}
            figure = json.load(open(kept.name))["generation"][0]
        ours.append({"prompt_tokens_per_s": figure["prompt_tokens_per_s"], "tokens_per_s": figure["tokens_per_s"], "peak_rss_bytes": peak})
    middle = lambda rows: {key: statistics.median(r[key] for r in rows) for key in rows[0]}
    a, b = middle(ours), middle(peer)
    return {"ours": a, "llama.cpp": b, "ours_better_by": {key: a[key] / b[key] for key in ("prompt_tokens_per_s", "tokens_per_s")}}


def machine(args):
    info = dict(line.split(":", 1) for line in reversed(open("/proc/cpuinfo").read().replace("\t", "").splitlines()) if ":" in line)
    kibibytes = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    telling = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
    version = subprocess.run([args.program, "--version"], capture_output=True, text=True).stdout.strip()
    revision = subprocess.run(["git", "-C", REPOSITORY, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"cpu": info.get("model name", "").strip(), "flags": [f for f in telling if f in info.get("flags", "").split()], "cores": len(os.sched_getaffinity(0)),
            "threads": args.threads, "memory_bytes": kibibytes * 1024, "kernel": os.uname().release, "load_before": os.getloadavg()[0],
            "time": time.strftime("%Y-%m-%dT%H:%M:%S"), "versions": {"lorikeet": f"{version} {revision}".strip(), **args.versions}}


def run(args):
    folder = pathlib.Path(args.folder).resolve()
    args.python = args.python or folder / "venv/bin/python"
    args.model = str(pathlib.Path(args.model or folder / "model").resolve())
    names = args.rows.split(",")
    for name in names:
        if name not in ROWS:
            sys.exit(f"peer.py: no row {name}; known: {', '.join(ROWS)}")
    for path in (args.python, args.program, args.model + "/config.json"):
        if not shutil.which(str(path)) and not os.path.exists(path):
            sys.exit(f"peer.py: {path} is not here; run setup (or ./studio build) first")
    args.vocabulary, args.versions = json.load(open(args.model + "/config.json"))["vocab_size"], {}
    described = machine(args)
    if described["load_before"] > 0.5:
        print(f"peer.py: this machine is busy (load {described['load_before']:.1f}); the figures will not be worth much", file=sys.stderr)
    rows = []
    for name in names:
        rows.append(measure_row(args, name, ROWS[name]))
        described["versions"].update(args.versions)
        if args.json:  # after every row: an hour's figures are not lost to the last one
            pathlib.Path(args.json).write_text(json.dumps({"machine": described, "steps": args.steps, "rows": rows}, indent=2) + "\n")
    result = {"machine": described, "steps": args.steps, "settings": args.set, "rows": rows}
    print_rows(rows)
    if args.llama_bench:
        result["generation"] = measure_generation(args)
        print("generation", json.dumps(result["generation"]))
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(result, indent=2) + "\n")
    return 1 if any("error" in r for r in rows) else 0


def parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(dest="command", required=True)
    one = commands.add_parser("setup")
    one.add_argument("folder")
    one.add_argument("--gguf", default=DEFAULT_GGUF)
    two = commands.add_parser("run")
    two.add_argument("folder")
    two.add_argument("--rows", default=DEFAULT_ROWS)
    two.add_argument("--rounds", type=int, default=3)
    two.add_argument("--steps", type=int, default=6)
    two.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    two.add_argument("--python")
    two.add_argument("--model")
    two.add_argument("--program", default=REPOSITORY / "build/release/bin/lorikeet")
    two.add_argument("--step-bench", default=REPOSITORY / "build/release/tests/step_bench")
    two.add_argument("--set", action="append", default=[])
    two.add_argument("--llama-bench")
    two.add_argument("--gguf", default=DEFAULT_GGUF)
    two.add_argument("--json")
    commands.add_parser("list")
    three = commands.add_parser("convert")  # inside the virtual environment, called by setup
    three.add_argument("gguf")
    three.add_argument("folder")
    four = commands.add_parser("step")  # inside the virtual environment, called by run
    four.add_argument("--model", required=True)
    for name, kind in (("--tokens", int), ("--batch", int), ("--steps", int), ("--threads", int), ("--quant", str), ("--dtype", str)):
        four.add_argument(name, type=kind, required=True)
    four.add_argument("--compile", action="store_true")
    return p


def show_rows(_):
    for name, (quant, dtype, tokens, batch, compiled) in ROWS.items():
        print(f"{name:<18} weights {quant}, {dtype}, {batch} x {tokens} tokens{', torch.compile' if compiled else ''}")


if __name__ == "__main__":
    arguments = parser().parse_args()
    sys.exit({"setup": setup, "run": run, "list": show_rows, "convert": convert, "step": peer_step}[arguments.command](arguments))
