#!/usr/bin/env python3
"""The same shapes with PyTorch, transformers and PEFT on the same card, from random weights: no files, no network.

    peers.py [--case NAME]... [--steps 5] [--warmup 2] [--limit SECONDS] [--json FILE] [--small] [--list]

One step: forward, backward, clipping to norm 1, AdamW on the adapters; all linear layers adapted, every token a target, sdpa
attention, the base in bf16 or, where bitsandbytes can be imported, in NF4 with double quantisation and products in bf16.
tokens/s are of the median of the timed steps; memory is the most PyTorch had reserved. A case that fails says why, and the
others go on. Without PyTorch this ends with 3. Runs on the CPU where no card is (--small: tiny shapes, to try the script).
"""
import argparse
import contextlib
import gc
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace

from shapes import SHAPES

try:
    import peft
    import torch
    import transformers
except ImportError as missing:
    print(f"peers.py: {missing.name} cannot be imported: no figures of PyTorch")
    sys.exit(3)


@dataclass(frozen=True)
class Case:
    shape: str
    length: int
    rows: int = 1
    rank: int = 16
    nf4: bool = False
    checkpointing: bool = False


CASES = {  # in the order of their worth, should time run out
    "eager 135m": Case("135m", 512),
    "lora 8b": Case("8b", 4096, 2),
    "qlora 8b": Case("8b", 4096, 2, nf4=True),
    "lora 8b, checkpointing": Case("8b", 4096, 2, checkpointing=True),
    "qlora 8b, checkpointing": Case("8b", 4096, 2, nf4=True, checkpointing=True),
    "qlora 8b rank 32, 2048 tokens, checkpointing": Case("8b", 2048, 1, 32, True, True),
    "qlora 8b rank 32, 8192 tokens, checkpointing": Case("8b", 8192, 1, 32, True, True),
    "qlora 135m": Case("135m", 512, nf4=True),
    "lora 1b": Case("1b", 4096, 2),
}


def device():
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def random_model(shape):
    s = SHAPES[shape]
    config = transformers.LlamaConfig(
        hidden_size=s.hidden, num_hidden_layers=s.layers, num_attention_heads=s.heads, num_key_value_heads=s.kv_heads, head_dim=s.head_dim,
        intermediate_size=s.feed_forward, vocab_size=s.vocabulary, tie_word_embeddings=s.tied, max_position_embeddings=131072, use_cache=False)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with device():  # made where it is used
            return transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    finally:
        torch.set_default_dtype(before)


def quantise(model):
    """Every linear layer of the blocks to bitsandbytes' NF4, one after the other: the bf16 weight goes as its codes come."""
    import bitsandbytes
    for block in model.model.layers:
        for parent in (block.self_attn, block.mlp):
            for name, old in list(parent.named_children()):
                if not isinstance(old, torch.nn.Linear):
                    continue
                new = bitsandbytes.nn.Linear4bit(old.in_features, old.out_features, bias=False, compute_dtype=torch.bfloat16, compress_statistics=True,
                                                 quant_type="nf4", device="meta")
                new.weight = bitsandbytes.nn.Params4bit(old.weight.data.cpu(), requires_grad=False, compress_statistics=True, quant_type="nf4")
                setattr(parent, name, new.to(device()))
    model.is_loaded_in_4bit = True  # as loading from files sets it; PEFT asks for it
    return model


def adapted(case):
    model = random_model(case.shape)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if case.nf4:
        quantise(model)
    if case.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    lora = peft.LoraConfig(r=case.rank, lora_alpha=2 * case.rank, target_modules="all-linear", task_type="CAUSAL_LM")
    model = peft.get_peft_model(model, lora)
    model.train()
    return model


def synchronise():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def timed_step(model, optimizer, trained, ids):
    synchronise()
    began = time.monotonic()
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    synchronise()
    return time.monotonic() - began, loss.item()


def measure(case, warmup, steps):
    torch.manual_seed(0)
    model = adapted(case)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    times, losses = [], []
    for _ in range(warmup + steps):
        ids = torch.randint(0, SHAPES[case.shape].vocabulary, (case.rows, case.length), device=device())
        seconds, loss = timed_step(model, optimizer, trained, ids)
        times.append(seconds)
        losses.append(loss)
    median = statistics.median(times[warmup:])
    out = {"step_ms": median * 1e3, "best_step_ms": min(times[warmup:]) * 1e3, "first_step_ms": times[0] * 1e3, "tokens_per_s": case.rows * case.length / median,
           "losses": losses, "trained": sum(p.numel() for p in trained), "adapter_type": str(trained[0].dtype).removeprefix("torch.")}
    if torch.cuda.is_available():
        out |= {"peak_bytes": torch.cuda.max_memory_reserved(), "allocated_bytes": torch.cuda.max_memory_allocated()}
    return out


def attempt(name, case, args):
    described = {"case": name, **asdict(case)}
    try:
        return {**described, **measure(case, args.warmup, args.steps)}
    except Exception as failure:  # out of memory, a library that is missing: the other cases go on
        return {**described, "error": f"{type(failure).__name__}: {str(failure).splitlines()[0] if str(failure) else ''}"[:300]}
    finally:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def versions():
    found = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    with contextlib.suppress(Exception):
        import bitsandbytes
        found["bitsandbytes"] = bitsandbytes.__version__
    return found


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--case", action="append", choices=list(CASES), help="only this case, repeatable")
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--warmup", type=int, default=2)
    p.add_argument("--limit", type=float, default=600, help="no case is begun after this many seconds")
    p.add_argument("--json", default="")
    p.add_argument("--small", action="store_true", help="tiny shapes")
    p.add_argument("--list", action="store_true")
    args = p.parse_args()
    if args.list:
        print("\n".join(CASES))
        return
    ends, known = time.monotonic() + args.limit, versions()
    out = {"device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu", "versions": known, "cases": []}
    for name in args.case or CASES:
        case = replace(CASES[name], shape="tiny", length=24) if args.small else CASES[name]
        if case.nf4 and "bitsandbytes" not in known:
            result = {"case": name, "error": "bitsandbytes is not installed"}
        elif time.monotonic() > ends:
            result = {"case": name, "error": "no time was left"}
        else:
            result = attempt(name, case, args)
        out["cases"].append(result)
        print(f"{name:<46} " + (result.get("error") or f"{result['tokens_per_s']:>9.0f} tokens/s  {result['step_ms']:>8.1f} ms  {result.get('peak_bytes', 0) * 1e-9:>6.2f} GB"), flush=True)
        if args.json:
            with open(args.json, "w") as f:
                json.dump(out, f, indent=1)


if __name__ == "__main__":
    main()
