#!/usr/bin/env python3
"""For developers: files we wrote, loaded by the libraries they are for.

    python check_peft.py adapter MODEL ADAPTER IDS LOGITS.npy   logits of transformers + PEFT against ours
    python check_peft.py fourbit FOLDER                         transformers + bitsandbytes load it; decoded values equal a plain
                                                                decoding of the file; its tokenizer and a greedy text are shown

LOGITS.npy comes from `lorikeet score --compute f32 --model MODEL --adapter ADAPTER --ids IDS --logits LOGITS.npy`.
"""
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer


def check_adapter(model, adapter, ids, logits):
    from peft import PeftModel
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, attn_implementation="eager")
    tuned = PeftModel.from_pretrained(base, adapter).eval()
    with torch.no_grad():
        theirs = tuned(torch.tensor([[int(i) for i in ids.split(",")]])).logits[0]
    ours = torch.from_numpy(np.load(logits))
    print("largest difference of logits", (ours - theirs).abs().max().item(), "relative", ((ours - theirs).norm() / theirs.norm()).item())


def decoded(tensors, name, state):
    codes = tensors[name].flatten()
    values = tensors[name + ".quant_map"][torch.stack([codes >> 4, codes & 15], 1).flatten().long()]
    scales = tensors[name + ".absmax"]
    if "nested_offset" in state:
        groups = tensors[name + ".nested_absmax"].repeat_interleave(state["nested_blocksize"])[: scales.numel()]
        scales = tensors[name + ".nested_quant_map"][scales.long()] * groups + state["nested_offset"]
    return (values.reshape(-1, state["blocksize"]) * scales[:, None]).reshape(state["shape"])


def check_fourbit(folder):
    import bitsandbytes.functional as F
    folder = pathlib.Path(folder)
    tensors = {}
    for file in sorted(folder.glob("model*.safetensors")):
        tensors.update(load_file(file))
    model = AutoModelForCausalLM.from_pretrained(folder, device_map="cpu")
    worst, count = 0.0, 0
    for name, p in model.named_parameters():
        quantised = getattr(p, "quant_state", None)
        if quantised is None:
            continue
        key = next(k for k in tensors if k.startswith(name + ".quant_state"))
        state = json.loads(bytes(tensors[key].tolist()).decode())
        if state["shape"][1] % state["blocksize"]:
            continue  # bitsandbytes 0.50 decodes rows shorter than a block wrongly on the CPU
        theirs = F.dequantize_4bit(p.data, quantised).float()
        worst, count = max(worst, (theirs - decoded(tensors, name, state).to(quantised.dtype).float()).abs().max().item()), count + 1
    print(f"{count} weights loaded by bitsandbytes, largest difference {worst}")
    if (folder / "tokenizer.json").exists():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        ids = tokenizer("Hello world! 123, the capital of France is", return_tensors="pt").input_ids
        print("ids", ids.tolist())
        with torch.no_grad():
            print("mean loss", model(ids, labels=ids).loss.item())
            out = model.generate(ids, max_new_tokens=12, do_sample=False)
        print(repr(tokenizer.decode(out[0])))
        if tokenizer.chat_template:
            print(repr(tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True)))


if __name__ == "__main__":
    {"adapter": check_adapter, "fourbit": check_fourbit}[sys.argv[1]](*sys.argv[2:])
