#!/usr/bin/env python3
"""Writes tests/data/parity/<model>/: what transformers and PEFT compute in fp32 for tiny random Llama and Mistral models.

    python make_parity_fixtures.py [folder, default ../data/parity]

Needs torch, transformers, peft, safetensors. The C++ tests read only what this writes. Per model:
  config.json, model.safetensors     the base model as transformers saves it
  adapter/                           a PEFT adapter with random A and B, as PEFT saves it
  fixture.safetensors                token batches and expected results:
    micro_<i>.{ids,positions,document_starts,labels}   i = 0 .. steps * accumulation - 1
    base_logits, logits    [T, V] of micro_0 without and with the adapter
    token_losses           [targets] of micro_0 with the adapter, in order of position
    gradient.<PEFT name>   of the first optimizer step, before clipping
    step_losses, grad_norms, learning_rates            [steps]
    final.<PEFT name>      the adapter after all steps
Documents of a micro-batch are run one by one here, so packing has an independent reference.
"""
import json
import math
import pathlib
import shutil
import sys

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, get_cosine_schedule_with_warmup

STEPS, ACCUMULATION, PEAK, WARMUP_RATIO, MAX_NORM = 20, 2, 5e-3, 0.1, 1.0
ADAM = dict(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
COMMON = dict(vocab_size=130, hidden_size=32, intermediate_size=72, num_hidden_layers=2, num_attention_heads=4,
              max_position_embeddings=512, rms_norm_eps=1e-5, attn_implementation="eager", bos_token_id=1, eos_token_id=2)
LORA = dict(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
MODELS = {
    "gqa_tied": (dict(num_key_value_heads=2, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}),
                 dict(LORA)),
    "mha_untied_bias": (dict(num_key_value_heads=4, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, head_dim=12,
                             rope_parameters={"rope_type": "default", "rope_theta": 50000.0}),
                        dict(LORA, r=3, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "v_proj", "down_proj"])),
    "llama3_rope": (dict(num_key_value_heads=1, tie_word_embeddings=True,
                         rope_parameters={"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                                          "high_freq_factor": 4.0, "original_max_position_embeddings": 64}),
                    dict(LORA, target_modules=r".*\.(q|k|o)_proj|model\.layers\.1\.mlp\.gate_proj",
                         rank_pattern={"layers.1.self_attn.q_proj": 2}, alpha_pattern={"o_proj": 12})),
    "linear_rope": (dict(num_key_value_heads=2, tie_word_embeddings=False,
                         rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}), dict(LORA)),
    "mistral_window_geglu": (dict(num_key_value_heads=2, tie_word_embeddings=False, sliding_window=7, hidden_act="gelu_pytorch_tanh",
                                  rope_parameters={"rope_type": "default", "rope_theta": 10000.0}), dict(LORA)),
}


def random_micro_batch(generator, vocabulary):
    """Two to four documents of unequal length; about half of the tokens are targets, one document start is labelled
    (such a label must be ignored)."""
    documents = []
    for _ in range(int(torch.randint(2, 5, (1,), generator=generator))):
        length = int(torch.randint(3, 25, (1,), generator=generator))
        ids = torch.randint(3, vocabulary, (length,), generator=generator)
        trained = torch.rand(length, generator=generator) < 0.5
        trained[0], trained[-1] = False, True
        documents.append((ids, torch.where(trained, ids, torch.tensor(-100))))
    documents[-1][1][0] = documents[-1][0][0]
    return documents


def pack(documents):
    i32 = torch.int32
    starts = [0]
    for ids, _ in documents:
        starts.append(starts[-1] + len(ids))
    return {"ids": torch.cat([d[0] for d in documents]).to(i32), "labels": torch.cat([d[1] for d in documents]).to(i32),
            "positions": torch.cat([torch.arange(len(d[0])) for d in documents]).to(i32),
            "document_starts": torch.tensor(starts, dtype=i32)}


def targets(documents):
    return sum(int((labels[1:] >= 0).sum()) for _, labels in documents)


def forward(model, documents):
    """Logits of all documents and the losses of all targets, in order."""
    logits, losses = [], []
    for ids, labels in documents:
        out = model(input_ids=ids[None]).logits[0]
        chosen = labels[1:] >= 0
        losses.append(torch.nn.functional.cross_entropy(out[:-1][chosen], labels[1:][chosen], reduction="none"))
        logits.append(out)
    return torch.cat(logits), torch.cat(losses)


def randomise(model):
    """Norm weights and biases are ones and zeros by default, which would hide mistakes."""
    for name, p in model.named_parameters():
        if "norm" in name:
            p.data = 1 + 0.2 * torch.randn_like(p)
        elif name.endswith("bias"):
            p.data = 0.1 * torch.randn_like(p)
        elif "proj" in name:
            p.data = torch.randn_like(p) / math.sqrt(p.shape[1])
        else:
            p.data = 0.3 * torch.randn_like(p)


def adapter_gradients(model):
    grads = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            grads[name.replace(".default", "")] = p.grad.clone()
    return grads


def train(model, batches, tensors):
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=PEAK, **ADAM)
    schedule = get_cosine_schedule_with_warmup(optimizer, math.ceil(WARMUP_RATIO * STEPS), STEPS)
    losses, norms, rates = [], [], []
    for step in range(STEPS):
        micro = batches[step * ACCUMULATION:(step + 1) * ACCUMULATION]
        count = sum(targets(d) for d in micro)
        total = 0.0
        for documents in micro:
            loss = forward(model, documents)[1].sum() / count
            loss.backward()
            total += loss.item()
        if step == 0:
            tensors.update({f"gradient.{k}": v for k, v in adapter_gradients(model).items()})
        rates.append(schedule.get_last_lr()[0])
        norms.append(float(torch.nn.utils.clip_grad_norm_(trained, MAX_NORM)))
        losses.append(total)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    for name, values in (("step_losses", losses), ("grad_norms", norms), ("learning_rates", rates)):
        tensors[name] = torch.tensor(values, dtype=torch.float64)


def make(folder, options, lora, seed):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    config, kind = (MistralConfig, MistralForCausalLM) if "sliding_window" in options else (LlamaConfig, LlamaForCausalLM)
    model = kind(config(**COMMON, **options)).float().eval()
    randomise(model)
    model.tie_weights()
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    generator = torch.Generator().manual_seed(seed)
    batches = [random_micro_batch(generator, COMMON["vocab_size"]) for _ in range(STEPS * ACCUMULATION)]
    tensors = {}
    for i, documents in enumerate(batches):
        tensors.update({f"micro_{i}.{k}": v for k, v in pack(documents).items()})
    with torch.no_grad():
        tensors["base_logits"] = forward(model, batches[0])[0]
    model = get_peft_model(model, LoraConfig(**lora)).eval()
    for name, p in model.named_parameters():
        if p.requires_grad:
            p.data = torch.randn_like(p) * (0.3 if "lora_B" in name else 1 / math.sqrt(p.shape[1]))
    model.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    with torch.no_grad():
        tensors["logits"], tensors["token_losses"] = forward(model, batches[0])
    train(model, batches, tensors)
    tensors.update({f"final.{k}": v for k, v in get_peft_model_state_dict(model).items()})
    settings = dict(steps=STEPS, accumulation=ACCUMULATION, peak=PEAK, warmup_ratio=WARMUP_RATIO, max_norm=MAX_NORM,
                    weight_decay=ADAM["weight_decay"])
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "fixture.safetensors",
              metadata={"settings": json.dumps(settings)})
    print(folder.name, sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()), "bytes,",
          [round(float(x), 4) for x in tensors["step_losses"][[0, -1]]])


def main():
    torch.set_num_threads(1)
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "data" / "parity"
    for seed, (name, (options, lora)) in enumerate(MODELS.items(), start=1):
        make(root / name, options, lora, seed)


if __name__ == "__main__":
    main()
