"""The stage parity: the same run on the CPU and on the card, losses side by side.

By the program, `lorikeet train`, from a model's files on the text of the licence, and by step_gpu at the size of 135M from
random weights; each number type against the same on the CPU. How far bf16 is from f32 is said besides, without a bound.
"""
import json
import shutil

from bench import Skip, last_line

STEPS, LENGTH, ROWS = 12, 256, 2
BOUNDS = {"f32": 1e-4, "bf16": 5e-3}  # on the loss of any step


def model_of(bench):
    """The model named, else one that the bundle brings, else the small one of the tests."""
    brought = sorted((bench.bundle / "model").glob("*"))
    return bench.model or str(brought[0] if brought else bench.bundle / "tests/data/models/tiny-llama")


def train(bench, model, text, length, device, compute):
    """Losses of the steps of one run, or None with the reason among the errors."""
    run = bench.out / f"logs/parity-run-{device}-{compute}"
    shutil.rmtree(run, ignore_errors=True)
    settings = {"model.path": model, "data.train": text, "data.format": "text", "data.validation_fraction": 0,
                "data.max_length": length, "data.on_long": "split", "data.shuffle": "false", "quantization.format": "nf4", "adapter.rank": 16, "adapter.alpha": 32,
                "optimizer.learning_rate": 2e-4, "schedule.name": "constant", "schedule.warmup_ratio": 0, "training.batch_size": 1,
                "training.gradient_accumulation": 2, "training.max_steps": STEPS, "training.seed": 7, "training.save_every": 1000000,
                "device.kind": device, "device.compute": compute}
    words = [w for key, value in settings.items() for w in ("--set", f"{key}={value}")]
    code, text = bench.run([bench.program("lorikeet"), "train", *words, "--out", run, "--json", "--quiet"], f"parity-{device}-{compute}", 60)
    if code != 0:
        bench.errors.append(f"lorikeet train on {device} in {compute} ended with {code}: {last_line(text)}")
        return None
    lines = [json.loads(line) for line in open(run / "metrics.jsonl")]
    losses = [line["loss"] for line in lines if "step_ms" in line]
    shutil.rmtree(run, ignore_errors=True)
    return losses


def step_losses(bench, device, compute):
    small = bench.small
    options = ["--shape", "tiny" if small else "135m", "--length", 24 if small else LENGTH, "--rows", ROWS, "--rank", 4 if small else 16,
               "--steps", 3 if small else STEPS, "--compute", compute, *(["--cpu"] if device == "cpu" else [])]
    got = bench.json_of([bench.program("step_gpu"), *options], f"parity-step-{device}-{compute}", 60)
    return got and got["losses"]


def compare(bench, what, wanted, got, bound):
    """Without a bound the difference is told, not judged."""
    if not wanted or not got:
        return {"what": what, "failed": True}
    differences = [abs(a - b) for a, b in zip(wanted, got)]
    worst = max(differences)
    # `not <=`: a NaN is a failure.
    if bound and (len(wanted) != len(got) or not worst <= bound or any(d != d for d in differences)):
        bench.errors.append(f"{what}: losses differ by {worst:.2g}, bound {bound:.2g}")
    return {"what": what, "largest_difference": worst, "bound": bound, "first": got[0], "last": got[-1], "losses": got, "wanted": wanted}


def by_program(bench):
    model, licence = model_of(bench), bench.bundle / "LICENSE"
    bench.program("lorikeet")
    if not licence.exists():
        raise Skip(f"{licence} is not here")
    text = bench.out / "logs/parity-text.txt"
    text.write_text(licence.read_text())
    length = 64 if "tiny-llama" in model else LENGTH
    card = "cpu" if bench.small else "cuda"  # without a card the program is held against itself
    cpu, gpu = ({compute: train(bench, model, text, length, device, compute) for compute in BOUNDS} for device in ("cpu", card))
    table = [compare(bench, f"lorikeet train, {compute}: card and CPU", cpu[compute], gpu[compute], bound) for compute, bound in BOUNDS.items()]
    table.append(compare(bench, "lorikeet train: bf16 on the card, f32 on the CPU", cpu["f32"], gpu["bf16"], None))
    return [{**row, "model": model} for row in table]


def stage_parity(bench):
    table = [compare(bench, f"step_gpu, {compute}: card and CPU", step_losses(bench, "cpu", compute), step_losses(bench, "cuda", compute), bound)
             for compute, bound in BOUNDS.items()]
    try:
        table += by_program(bench)
    except Skip as reason:
        table.append({"what": "lorikeet train", "not_run": str(reason)})
    return {"runs": table}
