#!/usr/bin/env python3
"""Writes tests/data/smollm2/reference.json: greedy continuations and losses of SmolLM2-135M-Instruct by transformers.

    python make_smollm2_reference.py FILE.gguf [output]

The GGUF is decoded to fp32 by transformers, so the reference shares no code with ours. Per prompt: the text, its ids,
the mean loss over positions 1..T-1, the greedy ids that follow and their text, and the smallest gap between the best
and the second logit on the way (a gap near 0 would make the greedy choice a matter of rounding; none is below 1e-3).
"""
import json
import os
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

NEW_TOKENS = 24
PLAIN = [
    "The capital of France is", "Once upon a time, in a small village by the sea,", "Water boils at a temperature of",
    "def fibonacci(n):\n    ", "The three primary colours are", "Dear Ms Turner,\n\nThank you for your letter of",
    "1, 2, 4, 8, 16,", "In 1969, the first humans", "To make a good cup of tea, you first",
    "Die Hauptstadt von Deutschland ist", "{\"name\": \"Anna\", \"age\": 31, \"city\":", "The theory of evolution by natural selection",
]
CHATS = [
    "What is gravity?", "Write one sentence about the sea.", "Name three fruits.", "Translate 'good morning' to Spanish.",
    "Is 17 a prime number? Answer yes or no.", "Give me a short recipe for pancakes.", "Who wrote Romeo and Juliet?",
    "Turn this into a JSON object: meeting with Paul on Friday at 10.",
]


def prompts(tokenizer):
    for text in PLAIN:
        yield text, tokenizer(text).input_ids
    for question in CHATS:
        text = tokenizer.apply_chat_template([{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True)
        yield text, tokenizer(text, add_special_tokens=False).input_ids


def run(model, tokenizer, text, ids):
    new, gap, cache, step = [], float("inf"), None, torch.tensor([ids])
    for _ in range(NEW_TOKENS):
        out = model(input_ids=step, past_key_values=cache, use_cache=True)
        if cache is None:
            loss = torch.nn.functional.cross_entropy(out.logits[0, :-1], step[0, 1:]).item()
        best = out.logits[0, -1].topk(2)
        gap = min(gap, float(best.values[0] - best.values[1]))
        new.append(int(best.indices[0]))
        cache, step = out.past_key_values, torch.tensor([[new[-1]]])
    return {"text": text, "ids": ids, "loss": loss, "greedy": new, "greedy_text": tokenizer.decode(new), "smallest_gap": gap}


def main():
    folder, name = os.path.split(os.path.abspath(sys.argv[1]))
    here = pathlib.Path(__file__).parent.parent / "data" / "smollm2"
    output = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else here / "reference.json"
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    with torch.no_grad():
        rows = [run(model, tokenizer, text, ids) for text, ids in prompts(tokenizer)]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"model": name, "prompts": rows}, indent=1, ensure_ascii=False) + "\n")
    for row in rows:
        print(f"{row['loss']:.5f} gap {row['smallest_gap']:.4f} {row['greedy_text']!r}")


if __name__ == "__main__":
    main()
