#!/usr/bin/env python3
"""For developers: our training against PyTorch + PEFT in fp32, on a real model and real data. Exit 1 when a bound fails.

    python check_training_parity.py MODEL DATA [--steps 200] [--seeds 3] [--tokens 128] [--weights none,nf4] [--parts step,levels,curve]

MODEL is a Hugging Face folder (tests/bench/peer.py setup makes one of the default model); DATA a .json or .jsonl file of objects
with texts, or a .txt. Needs torch, transformers, peft, safetensors here and, built, the targets lorikeet and adapter_gradients.

Both sides share everything but the arithmetic: rows of ids cut here, an adapter PEFT made, and the base weights. For `nf4` those
are what `lorikeet quantize` wrote, decoded here to fp32 by the definition of the format. What is compared:
  step     loss and adapter gradients of one step of --step-rows rows, an adapter with B != 0: ours in f32 and bf16 against
           torch f32. Gradients in bf16 may be as far off as torch's own in bf16: on SmolLM2-135M rounding the inputs of the
           linear layers, with all else exact, moves them by 0.013 already. Not judged: each side's f32 against f64.
           Rows whose gradient jumps when the base weights are moved by an eighth of a bf16 rounding are left out and named: no two programs that round differently agree on them, torch with itself in another order included.
  levels   the same from each CPU level of this machine against the best one, shorter rows, in f32 and in bf16
  curve    a run of STEPS steps from a fresh adapter: means over windows of 20 steps against torch's with the same adapter.
           The spread allowed is of torch's own runs from SEEDS adapters (only A differs; rows and their order do not).
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.llama import modeling_llama

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
RATE, WINDOW = 2e-4, 20
LOSS_BOUND = {"f32": 1e-4, "bf16": 1e-3}
GRADIENT_BOUND = {"f32": 1e-5, "bf16": 1e-2}  # relative L2 over all gradients as one vector
CURVE_BOUND, SIGMAS = 0.005, 3
NUDGE, STEADY = 2.0 ** -12, 0.03

found = []  # (what, value, bound, verdict)


def judge(what, value, bound):
    found.append((what, value, bound, value <= bound))
    print(f"  {what:<66} {value:>10.3g}  bound {bound:.3g}  {'ok' if value <= bound else 'FAILED'}", flush=True)


def program(command, **environment):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command[:2]))} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout


# ---- what both sides share

def texts_of(path):
    if path.suffix == ".txt":
        return [path.read_text()]
    content = path.read_text()
    rows = json.loads(content) if path.suffix == ".json" else [json.loads(line) for line in content.splitlines() if line.strip()]
    def texts(value):
        if isinstance(value, str):
            return [value]
        return [t for v in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else []) for t in texts(v)]
    return ["\n".join(texts(row)) for row in rows]


def rows_of(args, count):
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    ids = []
    for text in texts_of(args.data):
        ids += tokenizer(text, add_special_tokens=False).input_ids + [tokenizer.eos_token_id]
        if len(ids) >= count * args.tokens:
            break
    rows = [ids[i:i + args.tokens] for i in range(0, len(ids) - args.tokens + 1, args.tokens)]
    if not rows:
        sys.exit(f"{args.data} holds no {args.tokens} tokens")
    return [rows[i % len(rows)] for i in range(count)]  # a small set is seen again


def write_rows(path, rows):
    path.write_text("".join(json.dumps({"input_ids": r, "labels": r}) + "\n" for r in rows))
    return path


def decoded(tensors, name, state):
    """A bitsandbytes 4-bit weight in f32, rounded operation by operation as the format defines it."""
    codes = tensors[name].flatten()
    values = tensors[name + ".quant_map"][torch.stack([codes >> 4, codes & 15], 1).flatten().long()]
    scales = tensors[name + ".absmax"]
    if "nested_offset" in state:
        groups = tensors[name + ".nested_absmax"].repeat_interleave(state["nested_blocksize"])[: scales.numel()]
        scales = tensors[name + ".nested_quant_map"][scales.long()] * groups + torch.tensor(state["nested_offset"], dtype=torch.float32)
    return (values.reshape(-1, state["blocksize"]) * scales[:, None]).reshape(state["shape"])


def quantised_weights(folder):
    tensors = {}
    for file in sorted(folder.glob("model*.safetensors")):
        tensors.update(load_file(file))
    marks = [k for k in tensors if ".quant_state.bitsandbytes__" in k]
    return {k.split(".quant_state.")[0]: decoded(tensors, k.split(".quant_state.")[0], json.loads(bytes(tensors[k].tolist()))) for k in marks}


class Case:
    """One set of base weights: the model our side reads, the format it holds them in, and torch's copy."""

    def __init__(self, args, weights, work):
        self.weights, self.args = weights, args
        self.model = args.model
        self.values = {}
        if weights != "none":
            self.model = work / weights
            program([args.program, "quantize", args.model, "--format", weights, "--out", self.model, "--quiet"])
            self.values = quantised_weights(self.model)

    def our_format(self, compute):
        return "keep" if self.weights != "none" else {"f32": "f32", "bf16": "bf16"}[compute]

    def torch_base(self):
        base = AutoModelForCausalLM.from_pretrained(self.args.model, dtype=torch.float32, attn_implementation="sdpa")
        with torch.no_grad():
            parameters = dict(base.named_parameters())
            for name, value in self.values.items():
                parameters[name].copy_(value)
        return base


def tuned(base, seed, warm):
    torch.manual_seed(seed)
    model = get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    if warm:  # fresh adapters have B = 0, and with it no gradient of A
        with torch.no_grad():
            for name, p in model.named_parameters():
                if "lora_B" in name:
                    p.normal_(0, 0.02)
    return model


def trained(model):
    return {name.replace(".default", ""): p for name, p in model.named_parameters() if p.requires_grad}


# ---- one step

def torch_step(model, rows):
    """Loss and gradients of one step over rows of the same length.

    The loss is taken in f64 from the logits. transformers rounds them to f32 whatever the model's type, and PyTorch's
    f32 softmax over 49152 logits is 9e-6 off in its sum: softmax minus one at the target then no longer sums to zero,
    which makes gradients 7e-5 off, in f64 models too.
    """
    losses = []
    for row in rows:
        ids = torch.tensor([row])
        loss = torch.nn.functional.cross_entropy(model(input_ids=ids).logits[0, :-1].double(), ids[0, 1:]) / len(rows)
        loss.backward()
        losses.append(loss.item())
    return sum(losses), {name: p.grad.clone() for name, p in trained(model).items()}


def rms_norm_f64(self, x):
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def in_f64(model):
    """The model in f64 throughout: transformers' own norms and rotary angles round to f32 on the way."""
    theta = model.config.rope_parameters["rope_theta"]
    model.double()
    for module in model.modules():
        if isinstance(module, modeling_llama.LlamaRMSNorm):
            module.forward = rms_norm_f64.__get__(module)
        elif isinstance(module, modeling_llama.LlamaRotaryEmbedding):
            width = 2 * module.inv_freq.numel()
            rates = 1.0 / theta ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
            def angles(x, position_ids, rates=rates):
                once = position_ids[..., None].double() * rates
                return torch.cat((once, once), -1).cos(), torch.cat((once, once), -1).sin()
            module.forward = angles
    return model


def our_step(args, case, adapter, rows_file, compute, out, **environment):
    emulated = environment.get("LORIKEET_CPU_LEVEL") == "amx" and args.tiles.exists()
    program([args.tiles if emulated else args.gradients, case.model, adapter, rows_file, out, "--quant", case.our_format(compute), "--compute", compute, "--threads", args.threads], **environment)
    tensors = load_file(out)
    return tensors.pop("loss").item(), tensors


def relative_l2(ours, theirs):
    if ours.keys() != theirs.keys():
        sys.exit(f"the two sides train other tensors: {sorted(ours.keys() ^ theirs.keys())[:4]}")
    difference = sum((ours[n].double() - theirs[n].double()).pow(2).sum().item() for n in theirs)
    return (difference / sum(theirs[n].double().pow(2).sum().item() for n in theirs)) ** 0.5


def worst_tensor(ours, theirs):
    return max(((ours[n].double() - theirs[n].double()).norm() / theirs[n].double().norm()).item() for n in theirs)


def steady_rows(case, rows):
    """The rows whose gradient moves little when each base weight does, by NUDGE times a normal number."""
    model = tuned(case.torch_base(), 0, warm=True)
    before = [torch_step_alone(model, row) for row in rows]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            if not p.requires_grad and p.dim() == 2:
                p.mul_(1 + NUDGE * torch.randn(p.shape, generator=generator))
    moved = [relative_l2(torch_step_alone(model, row), gradients) for row, gradients in zip(rows, before)]
    print(f"  (gradients moved by nudged weights: median {statistics.median(moved):.2g}; left out: "
          f"{', '.join(f'row {i} ({m:.2g})' for i, m in enumerate(moved) if m > STEADY) or 'none'})")
    return [row for row, m in zip(rows, moved) if m <= STEADY]


def torch_step_alone(model, row):
    model.zero_grad(set_to_none=True)
    return torch_step(model, [row])[1]


def check_step(args, case, work):
    rows = steady_rows(case, rows_of(args, args.step_rows))
    if not rows:
        sys.exit("no row of these has a gradient that can be compared")
    rows_file, adapter = write_rows(work / "step.jsonl", rows), work / f"warm-{case.weights}"
    model = tuned(case.torch_base(), 0, warm=True)
    model.save_pretrained(adapter)
    loss, gradients = torch_step(model, rows)
    print(f"one step, weights {case.weights}: torch's loss {loss:.6f}")
    model.zero_grad(set_to_none=True)
    low_loss, low = torch_step(model.bfloat16(), rows)
    low_error = relative_l2(low, gradients)
    print(f"  (torch in bf16 against torch f32: loss {abs(low_loss - loss):.3g}, gradients {low_error:.3g})")
    bounds = {"f32": GRADIENT_BOUND["f32"], "bf16": max(GRADIENT_BOUND["bf16"], low_error)}
    for compute in ("f32", "bf16"):
        our_loss, ours = our_step(args, case, adapter, rows_file, compute, work / "ours.safetensors")
        judge(f"{case.weights} {compute}: loss against torch f32", abs(our_loss - loss), LOSS_BOUND[compute])
        judge(f"{case.weights} {compute}: adapter gradients, relative L2", relative_l2(ours, gradients), bounds[compute])
        print(f"  (the tensor that differs most: {worst_tensor(ours, gradients):.3g})")
    exact_against(args, case, adapter, work)


def exact_against(args, case, adapter, work):
    """Not judged: how far each side's f32 is from f64 on one row. It tells whose rounding a failed bound is about."""
    rows = rows_of(args, 1)
    rows_file = write_rows(work / "exact.jsonl", rows)
    model = tuned(case.torch_base(), 0, warm=True)
    loss, gradients = torch_step(model, rows)
    our_loss, ours = our_step(args, case, adapter, rows_file, "f32", work / "exact.safetensors")
    model.zero_grad(set_to_none=True)
    exact_loss, exact = torch_step(in_f64(model), rows)
    print(f"  (against torch f64, one row: torch f32 loss {abs(loss - exact_loss):.3g}, gradients {relative_l2(gradients, exact):.3g}; "
          f"ours f32 loss {abs(our_loss - exact_loss):.3g}, gradients {relative_l2(ours, exact):.3g})")


def check_levels(args, case, work):
    levels = json.loads(program([args.program, "device", "--json"]))["cpu"]["levels_available"]
    others = levels[:-1] + (["amx"] if "amx" not in levels and args.tiles.exists() else [])
    rows = steady_rows(case, [row[: args.level_tokens] for row in rows_of(args, args.level_rows)])
    rows_file, adapter = write_rows(work / "short.jsonl", rows), work / f"warm-levels-{case.weights}"
    model = tuned(case.torch_base(), 0, warm=True)
    model.save_pretrained(adapter)
    loss, gradients = torch_step(model, rows)
    model.zero_grad(set_to_none=True)
    low_loss, low = torch_step(model.bfloat16(), rows)
    # In bf16 each level rounds where its own unit does: two of them may lie on either side of f32, each within its bound or,
    # on rows as short as these, as far off as torch is in bf16.
    loss_bounds = {"f32": LOSS_BOUND["f32"], "bf16": 2 * max(LOSS_BOUND["bf16"], abs(low_loss - loss))}
    bounds = {"f32": GRADIENT_BOUND["f32"], "bf16": max(GRADIENT_BOUND["bf16"], relative_l2(low, gradients))}
    print(f"levels, weights {case.weights}: {', '.join(others)} against {levels[-1]}")
    for compute in ("f32", "bf16"):
        results = {level: our_step(args, case, adapter, rows_file, compute, work / "level.safetensors", LORIKEET_CPU_LEVEL=level) for level in others + levels[-1:]}
        best_loss, best = results[levels[-1]]
        exact_loss = best_loss if compute == "f32" else exact_loss
        print(f"  ({compute} losses against f32 {exact_loss:.6f}: " + ", ".join(f"{level} {results[level][0] - exact_loss:+.2e}" for level in results) + ")")
        for level in others:
            what = f"{case.weights} {compute}: {level} against {levels[-1]}"
            judge(f"{what}, loss", abs(results[level][0] - best_loss), loss_bounds[compute])
            judge(f"{what}, gradients, relative L2", relative_l2(results[level][1], best), bounds[compute])


# ---- a run

def torch_curve(args, case, seed, rows, adapter):
    model = tuned(case.torch_base(), seed, warm=False)
    model.save_pretrained(adapter)
    parameters = list(trained(model).values())
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.0)
    losses = []
    for row in rows:
        ids = torch.tensor([row])
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    return losses


def our_curve(args, case, rows_file, steps, adapter, compute, run):
    settings = {"model.path": case.model, "data.train": rows_file, "data.format": "tokens", "data.validation_fraction": 0, "data.packing": "false",
                "data.shuffle": "false", "data.max_length": args.tokens, "quantization.format": case.our_format(compute), "adapter.from": adapter,
                "optimizer.learning_rate": RATE, "schedule.name": "constant", "schedule.warmup_ratio": 0, "training.batch_size": 1,
                "training.gradient_accumulation": 1, "training.max_steps": steps}
    words = [w for key, value in settings.items() for w in ("--set", f"{key}={value}")]
    program([args.program, "train", *words, "--compute", compute, "--threads", args.threads, "--out", run, "--quiet"])
    lines = map(json.loads, open(run / "metrics.jsonl"))
    return [line["loss"] for line in lines if "step_ms" in line]


def windows(losses):
    return [statistics.mean(losses[i:i + WINDOW]) for i in range(0, len(losses), WINDOW)]


def check_curve(args, case, work):
    rows = rows_of(args, args.steps)
    rows_file = write_rows(work / "curve.jsonl", rows)
    theirs = [torch_curve(args, case, seed, rows, work / f"fresh-{case.weights}-{seed}") for seed in range(args.seeds)]
    by_window = list(zip(*map(windows, theirs)))
    sigmas = [statistics.stdev(w) if len(w) > 1 else 0.0 for w in by_window]
    print(f"{args.steps} steps, weights {case.weights}: torch's windows {' '.join(f'{w[0]:.3f}' for w in by_window)}")
    print(f"  standard deviation over {args.seeds} seeds: {' '.join(f'{s:.4f}' for s in sigmas)}")
    for compute in args.compute.split(","):
        ours = our_curve(args, case, rows_file, args.steps, work / f"fresh-{case.weights}-0", compute, work / f"run-{case.weights}-{compute}")
        if len(ours) != args.steps:
            sys.exit(f"our run has {len(ours)} steps instead of {args.steps}")
        differences = [abs(a - b[0]) for a, b in zip(windows(ours), by_window)]
        print(f"  ours in {compute}, windows: {' '.join(f'{w:.3f}' for w in windows(ours))}")
        print(f"  (loss of the first row alone, {args.tokens - 1} targets: {abs(ours[0] - theirs[0][0]):.3g} from torch f32)")
        # The window nearest to its own bound speaks for the curve.
        value, bound = max(((d, max(CURVE_BOUND, SIGMAS * s)) for d, s in zip(differences, sigmas)), key=lambda p: p[0] / p[1])
        judge(f"{case.weights} {compute}: curve, worst window of {WINDOW} steps", value, bound)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--step-rows", type=int, default=16)
    parser.add_argument("--level-tokens", type=int, default=33)
    parser.add_argument("--level-rows", type=int, default=8)
    parser.add_argument("--weights", default="none,nf4")
    parser.add_argument("--curve-weights", default="nf4")
    parser.add_argument("--compute", default="f32,bf16", help="what our runs of the curve compute in")
    parser.add_argument("--parts", default="step,levels,curve")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--program", default=REPOSITORY / "build/release/bin/lorikeet")
    parser.add_argument("--gradients", default=REPOSITORY / "build/release/tests/adapter_gradients")
    parser.add_argument("--tiles", type=pathlib.Path, default=REPOSITORY / "build/release/tests/adapter_gradients_tiles",
                        help="the same for the amx level, emulated where the unit is missing; left out if it is not built")
    args = parser.parse_args()
    args.model = args.model.resolve()
    torch.set_num_threads(args.threads)
    parts = args.parts.split(",")
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for weights in args.weights.split(","):
            case = Case(args, weights, work)
            if "step" in parts:
                check_step(args, case, work)
            if "levels" in parts:
                check_levels(args, case, work)
            if "curve" in parts and weights in args.curve_weights.split(","):
                check_curve(args, case, work)
    failed = [what for what, _, _, good in found if not good]
    print(f"{len(found)} bounds, {len(failed)} failed" + "".join(f"\n  {what}" for what in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
