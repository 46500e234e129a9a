#!/usr/bin/env python3
"""Writes tests/data/models: one tiny random Llama model in every form the readers know, and what transformers computes.

    python make_gguf_model.py [folder, default ../data/models]

Needs torch, transformers, tokenizers, peft, bitsandbytes, safetensors, gguf. The C++ tests read only what this writes:
  tiny-llama/            Hugging Face folder, one safetensors file, byte-level BPE tokenizer, chat template
  tiny-llama-sharded/    the same weights in three files and an index, transformers-4 spelling of the config, no tokenizer
  tiny-llama-{F32,F16,Q8_0}.gguf   the same weights; q and k rows in GGUF's order, llama3 scaling as rope_freqs.weight
  tiny-llama-nf4/, tiny-llama-fp4/ as bitsandbytes saves them (nf4 with nested scales, fp4 without)
  tiny-llama-nf4/dequantised.safetensors, ... the values bitsandbytes decodes
  tiny-llama-lora/       an adapter as PEFT saves it (rank and alpha patterns)
  expected.safetensors   ids [T] i32, logits [T, V] without and with the adapter, and with rounded weights
"""
import json
import math
import pathlib
import shutil
import sys

import gguf
import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEXT = ["the cat sat on the mat and the dog sat on the log", "a model learns from data; the data comes first",
        "she said that the train to the city leaves at nine", "numbers like 12 and 2024 are split in parts"]
TEMPLATE = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
ROPE = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)
THETA = 10000.0


def make_tokenizer(folder):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
                                  special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tok.train_from_iterator(TEXT * 4, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tok, bos_token="<|endoftext|>", eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    return fast


def rope_factors(dim):
    out = []
    for j in range(dim // 2):
        w = THETA ** (-2 * j / dim)
        length = 2 * math.pi / w
        low, high = ROPE["original_max_position_embeddings"] / ROPE["low_freq_factor"], ROPE["original_max_position_embeddings"] / ROPE["high_freq_factor"]
        if length < high:
            out.append(1.0)
        elif length > low:
            out.append(ROPE["factor"])
        else:
            s = (ROPE["original_max_position_embeddings"] / length - ROPE["low_freq_factor"]) / (ROPE["high_freq_factor"] - ROPE["low_freq_factor"])
            out.append(1 / ((1 - s) / ROPE["factor"] + s))
    return np.array(out, dtype=np.float32)


def interleaved(w, heads):
    """Row h*D + 2j + b of the result is row h*D + b*D/2 + j."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm"}


def gguf_name(name):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{NAMES[rest.rsplit('.', 1)[0]]}.weight"


def write_gguf(path, config, state, tokenizer, kind):
    types = {"F32": gguf.GGMLQuantizationType.F32, "F16": gguf.GGMLQuantizationType.F16, "Q8_0": gguf.GGMLQuantizationType.Q8_0}
    w = gguf.GGUFWriter(path, "llama")
    w.add_type("model")
    w.add_name("tiny llama")
    w.add_block_count(config.num_hidden_layers)
    w.add_context_length(config.max_position_embeddings)
    w.add_embedding_length(config.hidden_size)
    w.add_feed_forward_length(config.intermediate_size)
    w.add_head_count(config.num_attention_heads)
    w.add_head_count_kv(config.num_key_value_heads)
    w.add_rope_freq_base(THETA)
    w.add_rope_dimension_count(config.head_dim)
    w.add_layer_norm_rms_eps(config.rms_norm_eps)
    w.add_vocab_size(config.vocab_size)
    w.add_file_type({"F32": 0, "F16": 1, "Q8_0": 7}[kind])
    w.add_quantization_version(2)
    table = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = [t for t, _ in sorted(tokenizer.get_vocab().items(), key=lambda kv: kv[1])]
    special = set(tokenizer.all_special_tokens) | {"<|im_start|>", "<|im_end|>"}
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    w.add_token_types([3 if t in special else 1 for t in tokens])
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in table["model"]["merges"]])
    w.add_bos_token_id(tokenizer.bos_token_id)
    w.add_eos_token_id(tokenizer.eos_token_id)
    w.add_pad_token_id(tokenizer.pad_token_id)
    w.add_add_bos_token(False)
    w.add_chat_template(TEMPLATE)
    w.add_tensor("rope_freqs.weight", rope_factors(config.head_dim))
    for name, value in state.items():
        a = value.float().numpy()
        if "q_proj" in name:
            a = interleaved(a, config.num_attention_heads)
        if "k_proj" in name:
            a = interleaved(a, config.num_key_value_heads)
        if a.ndim == 1 or kind == "F32":
            w.add_tensor(gguf_name(name), np.ascontiguousarray(a, dtype=np.float32))
        elif kind == "F16":
            w.add_tensor(gguf_name(name), a.astype(np.float16))
        else:
            w.add_tensor(gguf_name(name), gguf.quants.quantize(a, types[kind]), raw_dtype=types[kind])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def write_four_bit(base, folder, kind, nested):
    model = AutoModelForCausalLM.from_pretrained(base, device_map="cpu", dtype=torch.float32, quantization_config=BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=nested, bnb_4bit_compute_dtype=torch.float32))
    model.save_pretrained(folder)
    import bitsandbytes.functional as F
    values = {}
    for name, p in model.named_parameters():
        if getattr(p, "quant_state", None) is not None:
            # bitsandbytes 0.50 on the CPU decodes rows shorter than a block wrongly; blocks ignore rows, so one block a row.
            shape, p.quant_state.shape = p.quant_state.shape, torch.Size((p.quant_state.shape.numel() // 64, 64))
            values[name] = F.dequantize_4bit(p.data, p.quant_state).float().reshape(shape).contiguous()
    save_file(values, folder / "dequantised.safetensors")


def logits_of_rounded(base, ids, kind):
    """What transformers computes with the weights that a GGUF of this type holds."""
    model = LlamaForCausalLM.from_pretrained(base, attn_implementation="eager").float().eval()
    quant = getattr(gguf.GGMLQuantizationType, kind)
    with torch.no_grad():
        for _, p in model.named_parameters():
            if p.ndim == 2:
                p.copy_(torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(p.numpy(), quant), quant).astype(np.float32)))
        return model(ids).logits[0].contiguous()


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "data" / "models")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    base = out / "tiny-llama"
    tokenizer = make_tokenizer(base)
    torch.manual_seed(7)
    config = LlamaConfig(vocab_size=len(tokenizer) + 4, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, head_dim=8, max_position_embeddings=256, rms_norm_eps=1e-5, tie_word_embeddings=True,
                         bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, attn_implementation="eager",
                         rope_parameters=dict(rope_type="llama3", rope_theta=THETA, **ROPE))
    model = LlamaForCausalLM(config).float().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(1 + 0.2 * torch.randn_like(p) if p.ndim == 1 else torch.randn_like(p) * (0.35 if "embed" in name else 0.25))
    model.save_pretrained(base)
    state = {k: v for k, v in model.state_dict().items() if k != "lm_head.weight"}

    sharded = out / "tiny-llama-sharded"
    model.save_pretrained(sharded, max_shard_size="45KB")
    old = json.loads((sharded / "config.json").read_text())
    rope = old.pop("rope_parameters")
    old["rope_theta"] = rope.pop("rope_theta")
    old["rope_scaling"] = rope
    old["torch_dtype"] = old.pop("dtype", "float32")
    (sharded / "config.json").write_text(json.dumps(old, indent=2) + "\n")

    for kind in ("F32", "F16", "Q8_0"):
        write_gguf(str(out / f"tiny-llama-{kind}.gguf"), config, state, tokenizer, kind)
    write_four_bit(base, out / "tiny-llama-nf4", "nf4", True)
    write_four_bit(base, out / "tiny-llama-fp4", "fp4", False)

    ids = torch.tensor([tokenizer.encode("the dog learns from the cat at nine; 2024 is first")])
    with torch.no_grad():
        logits = model(ids).logits[0]
    peft = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM",
                                            rank_pattern={"layers.1.self_attn.q_proj": 2}, alpha_pattern={"down_proj": 12}))
    with torch.no_grad():
        for name, p in peft.named_parameters():
            if "lora_" in name:
                p.copy_(torch.randn_like(p) * 0.2)
        tuned = peft(ids).logits[0]
    peft.save_pretrained(out / "tiny-llama-lora")
    for path in out.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for extra in out.rglob("README.md"):
        extra.unlink()
    save_file({"ids": ids[0].to(torch.int32), "logits": logits.contiguous(), "tuned_logits": tuned.contiguous(),
               "logits_F16": logits_of_rounded(base, ids, "F16"), "logits_Q8_0": logits_of_rounded(base, ids, "Q8_0")}, out / "expected.safetensors")


main()
