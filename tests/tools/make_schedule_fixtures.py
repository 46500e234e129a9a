#!/usr/bin/env python3
"""Writes tests/data/optim/schedules.json: learning rates of every step by the schedulers of transformers.

    python make_schedule_fixtures.py [output]
"""
import json
import pathlib
import sys
import warnings

import torch
import transformers

warnings.filterwarnings("ignore")  # torch warns about a scheduler stepped without its optimizer
CASES = [(2e-4, 0, 10), (2e-4, 3, 17), (5e-3, 4, 4), (1e-3, 1, 50)]  # peak, warmup, steps
MAKERS = {
    "constant": lambda o, w, n: transformers.get_constant_schedule_with_warmup(o, w),
    "linear": transformers.get_linear_schedule_with_warmup,
    "cosine": transformers.get_cosine_schedule_with_warmup,
    "cosine_with_restarts": transformers.get_cosine_with_hard_restarts_schedule_with_warmup,
    "polynomial": transformers.get_polynomial_decay_schedule_with_warmup,
}


def rates(maker, peak, warmup, steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    schedule = maker(optimizer, warmup, steps)
    out = []
    for _ in range(steps):
        out.append(schedule.get_last_lr()[0])
        optimizer.step()
        if len(out) < steps:
            schedule.step()
    return out


def main():
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "data/optim/schedules.json"
    rows = [{"name": name, "peak": peak, "warmup": warmup, "steps": steps, "rates": rates(maker, peak, warmup, steps)}
            for name, maker in MAKERS.items() for peak, warmup, steps in CASES]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")


if __name__ == "__main__":
    main()
