#!/usr/bin/env python3
"""summary.py FOLDER: puts the stages' JSON of run.sh side by side with the goals, in FOLDER/summary.json and summary.md.

Reads what is there: figures of several runs may lie in one folder. The list of goals is in shapes.py.
"""
import argparse
import json
import pathlib
import time

from shapes import GOALS, card_figures

STAGES = ["device", "build", "kernels", "sanitizer", "determinism", "parity", "ops", "steps", "memory", "peers"]


def data_of(stages, name):
    return (stages.get(name) or {}).get("data") or {}


def op_share(stages, name, against_vendor):
    """In percent: of the vendor's figure, or of what a large copy or product reached in the same process."""
    for op in data_of(stages, "ops").get("ops", []):
        if op["op"].startswith(name):
            share = op.get("share_of_vendor") if against_vendor else op["share"]
            return None if share is None else 100 * share
    return None


def peer(stages, name):
    return next((c for c in data_of(stages, "peers").get("cases", []) if c["case"] == name and "step_ms" in c), None)


def values(stages):
    """Goal by goal: the figure, and what to know of it."""
    steps, memory = data_of(stages, "steps"), data_of(stages, "memory")
    best = max((steps[k] for k in ("8b", "8b-full") if steps.get(k, {}).get("tokens_per_s")), key=lambda s: s["tokens_per_s"], default={})
    large = steps.get("65b", {})
    eager, ours = peer(stages, "eager 135m"), steps.get("135m", {}).get("step_ms")
    return {
        "tokens_8b": (best.get("tokens_per_s"), f"policy {best.get('policy')}"),
        "fixed_8b": (memory.get("fixed_bytes") and memory["fixed_bytes"] * 1e-9, "tensors alone, policy full; a line through two lengths"),
        "token_8b": (memory.get("token_bytes") and memory["token_bytes"] * 1e-3, "the line's slope"),
        "memory_65b": (large.get("peak_bytes") and large["peak_bytes"] * 1e-9, "tensors alone, policy full"),
        "attention_forward": (op_share(stages, "attention bf16", True), "of the vendor's peak"),
        "attention_backward": (op_share(stages, "attention backward bf16", True), "of the vendor's peak, five products counted"),
        "nf4_decode": (op_share(stages, "decode nf4", False), "of a large copy in the same run"),
        "step_135m": (eager and ours and eager["step_ms"] / ours, "LoRA of rank 16 on both sides"),
    }


def goal_rows(stages, trial):
    found = values(stages)
    rows = []
    for goal in GOALS:
        value, note = found[goal.key]
        rows.append({"key": goal.key, "what": goal.what, "unit": goal.unit, "value": value, "hold": goal.hold, "goal": goal.goal,
                     "stretch": goal.stretch, "verdict": goal.verdict(value) if not trial else "a trial", "note": note if value is not None else ""})
    return rows


def figure(value, digits=3):
    return "-" if value is None else f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:.0f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def stage_rows(stages):
    for name in STAGES:
        s = stages.get(name)
        if s:
            yield name, "skipped" if s["skipped"] else "well" if s["ok"] else "FAILED", s["seconds"], s["skipped"] or "; ".join(s["errors"][:4])


def step_table(stages):
    rows = [(key, s["tokens_per_s"], s["step_ms"], s["tflops"], s.get("peak_bytes"), s.get("policy"), s.get("rank"))
            for key, s in data_of(stages, "steps").items() if "step_ms" in s]
    return table(["steps", "tokens/s", "ms", "TFLOP/s", "peak GB", "policy", "rank"],
                 [(k, figure(t), figure(ms), figure(f), figure(p and p * 1e-9), policy, rank) for k, t, ms, f, p, policy, rank in rows]) if rows else []


def ours_for(stages, case):
    """Our steps of the same shape, length and rank as a peer's case: the fastest policy."""
    same = [s for s in data_of(stages, "steps").values() if "step_ms" in s and all(s[k] == case.get(k) for k in ("shape", "length", "rows", "rank"))]
    return max(same, key=lambda s: s["tokens_per_s"], default=None)


def peer_table(stages):
    rows = []
    for c in data_of(stages, "peers").get("cases", []):
        ours = ours_for(stages, c)
        times = ours and c.get("tokens_per_s") and ours["tokens_per_s"] / c["tokens_per_s"]
        rows.append((c["case"], figure(c.get("tokens_per_s")), figure(c.get("step_ms")), figure(c.get("peak_bytes") and c["peak_bytes"] * 1e-9), figure(times), c.get("error", "")))
    return table(["PyTorch", "tokens/s", "ms", "peak GB", "ours, times as fast", ""], rows) if rows else []


def op_table(stages):
    ops = data_of(stages, "ops").get("ops", [])
    percent = lambda share: "-" if share is None else f"{100 * share:.0f} %"
    return table(["op", "us", "of the run's own peak", "of the vendor's"], [(o["op"], figure(o["us"], 4), percent(o["share"]), percent(o.get("share_of_vendor"))) for o in ops]) if ops else []


def markdown(result, stages):
    card, small = result["card"], result["small"]
    lines = [f"# {card.get('name', 'no card')}, {result['date']}", ""]
    if small:
        lines += ["Tiny shapes: a trial of the scripts, no figures.", ""]
    lines += [f"Driver {card.get('driver_version', '-')}, {result['nvcc'] or 'no nvcc'}; " + ", ".join(result["bundle"][:4]), ""]
    if card and card_figures(card["name"]) is None:
        lines += ["The vendor's figures of this card are not listed in shapes.py.", ""]
    lines += table(["goal", "unit", "measured", "hold", "goal", "stretch", "reached", ""], [
        (g["what"], g["unit"], figure(g["value"]), g["hold"], g["goal"], g["stretch"], g["verdict"], g["note"]) for g in result["goals"]])
    lines += table(["stage", "", "s", ""], stage_rows(stages))
    for part in (step_table(stages), peer_table(stages), op_table(stages)):
        lines += part
    for run in data_of(stages, "parity").get("runs", []):
        if "largest_difference" in run:
            bound = f"bound {run['bound']:.2g}" if run["bound"] else "no bound"
            lines.append(f"- {run['what']}: largest difference {run['largest_difference']:.2g} ({bound})")
    return "\n".join(lines) + "\n"


def summarise(folder):
    stages = {name: json.loads((folder / f"{name}.json").read_text()) for name in STAGES if (folder / f"{name}.json").exists()}
    device = data_of(stages, "device")
    trial = any(s.get("small") for s in stages.values())
    result = {"card": device.get("card") or {}, "nvcc": device.get("nvcc"), "bundle": device.get("bundle") or [], "date": time.strftime("%Y-%m-%d %H:%M"),
              "small": trial, "goals": goal_rows(stages, trial),
              "stages": {name: {k: s[k] for k in ("ok", "skipped", "errors", "seconds", "time")} for name, s in stages.items()}}
    (folder / "summary.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "summary.md").write_text(markdown(result, stages))
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    summarise(parser.parse_args().folder)
