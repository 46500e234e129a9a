#!/usr/bin/env python3
"""Makes tests/data/tokenizers: tiny trained tokenizers of the usual kinds, with what the reference libraries say about
nasty texts (Hugging Face tokenizers, sentencepiece). Needed only to make the files anew; tests read the result.
Training breaks ties differently from run to run, so a tokenizer and its golden file always belong to one run.

    python3 tests/tools/make_tokenizer_fixtures.py
"""
import io
import json
import os
import random

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "tokenizers")

CORPUS = [
    "The lorikeet sings in the morning, and the other birds answer it.",
    "Training a small model takes patience: you look at the loss, you wait, and you look again.",
    "She'll say that they've seen it; I'm sure we'd agree, don't you?",
    "In 2024 there were 365 days plus 1; the price was 12.50 euro, or 1,000,000 units.",
    "def add(a, b):\n    return a + b\n\n\tfor i in range(10):\n\t\tprint(i)  # tabs",
    "Café, naïve, Zürich, Ærø, łódź, façade, jalapeño, über, coöperate.",
    "Привет мир, как дела? Всё хорошо, спасибо.",
    "日本語のテキストと中文文本，还有标点。こんにちは、世界！",
    "안녕하세요 세계. مرحبا بالعالم. שלום עולם. नमस्ते दुनिया",
    "emoji 😀 👩‍👩‍👧‍👦 🏳️‍🌈 and symbols ∑ ∞ ≠ € £ … — “quotes” ‘single’",
    "JSON: {\"key\": [1, 2, 3], \"flag\": true}\r\nnext line\r\n",
    "http://example.org/path?x=1&y=2#frag user@example.org",
    "   leading and   inner    spaces     and trailing   ",
    "the the the and and and ing ing ing tion tion ation ment ment er er er",
]

TEXTS = [
    "", " ", "  ", "   ", "\n", "\n\n\n", "\t\t x", "a", "Hello world", " Hello  world ", "Hello\n\n\nworld\n", "x\r\n\r\ny", "   \n  \n x",
    "I'll we've THEY'RE don'T it'S 'sſ 'ſ", "12345678 1 22 333 4444 ½ ² ٣٤٥ Ⅷ 一二三", "3.14159e-10, $1,000.00", "foo_bar::baz(qux)->x[0]",
    "Caf\u00e9 Cafe\u0301 \u1e69 s\u0323\u0307 s\u0307\u0323 \u212b \ufb01", "e\u0301\u0301\u0301", "\u0301 alone", "한글 \u1112\u1161\u11ab\u1100\u1173\u11af",
    "日本語のテキスト、中文。", "Привет, мир! Ё", "مرحبا بالعالم", "नमस्ते दुनिया", "😀😀 👩‍👩‍👧‍👦 🏳️‍🌈", "a😀b", "\u00a0nbsp\u2003em\u3000ideographic\u2028line\u180e.",
    "\u200bzero\u200dwidth\ufeffbom", "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>", "a<|im_end|>b", "<|im_end", "<|im_start|><|im_start|>",
    "<s> text </s><unk>", "text with <tool> and  <pad>  inside", "maskmask mask, mask", "xmaskx mask_ mask1 1mask mask-mask émaské", "word  <sep>  word\n<sep>\n", "a ROBIN, two robins, Robin",
    "ÀÉÎ straße İstanbul ΑΣ", "________", "....!!!???", "--- +++ === <<< >>>", "\x00\x01\x7f control", "a\u0000b", "tab\there", "trailing   ", "   leading",
    "ing tion ation ment er ers ering", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "ab" * 60, " " * 70, " " * 70 + "x", "\n" * 50 + "x", "é" * 50, "▁already ▁marked▁", "\ud7ff\ue000\U0010ffff", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ｆｕｌｌ ①②",
]

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def random_texts(count):
    rng = random.Random(7)
    alphabet = list("abcdeinrst ABC 0123 \n\t\r.,'!?-_<>|") + ["é", "e\u0301", "ß", "я", "語", "한", "😀", "\u00a0", "\u3000", "½", "ſ", "▁", "<|im_end|>", "<tool>", "mask", "<sep>"]
    return ["".join(rng.choice(alphabet) for _ in range(rng.randint(1, 40))) for _ in range(count)]


def train(tokenizer, trainer):
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    return tokenizer


def byte_level(pre, normalizer=None, ignore_merges=False, post=None, vocab=420):
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    train(t, trainers.BpeTrainer(vocab_size=vocab, special_tokens=CHAT, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    if post:
        t.post_processor = post
    return t


def tokenizers():
    llama = byte_level(pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), ignore_merges=True)
    llama.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|endoftext|> $A", pair="<|endoftext|> $A <|endoftext|> $B", special_tokens=[("<|endoftext|>", 0)])])
    yield "llama3_like", llama
    yield "qwen2_like", byte_level(pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), normalizers.NFC())
    yield "smollm_like", byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]))
    yield "gpt2_like", byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True))

    flags = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))
    flags.add_tokens([AddedToken("<tool>", rstrip=True), AddedToken("mask", single_word=True), AddedToken("<sep>", lstrip=True, rstrip=True, normalized=False),
                      AddedToken("Robin", normalized=True), AddedToken("  ", normalized=False)])
    flags.add_special_tokens([AddedToken("<pad>", lstrip=True, special=True)])
    flags.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace("ing", "ING")])
    flags.post_processor = processors.RobertaProcessing(("<|im_end|>", 2), ("<|im_start|>", 1), trim_offsets=False)
    yield "added_flags", flags

    bytes_alphabet = ["<0x%02X>" % b for b in range(256)]
    for name, normalizer, pre, strip in [
            ("llama2_like", normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None, True),
            ("metaspace_first", None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), True),
            ("gemma_like", normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"), False)]:
        t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
        train(t, trainers.BpeTrainer(vocab_size=560, special_tokens=["<unk>", "<s>", "</s>"] + bytes_alphabet, limit_alphabet=90, show_progress=False))
        d = json.loads(t.to_str())
        d["added_tokens"] = [a for a in d["added_tokens"] if not a["content"].startswith("<0x")]
        t = Tokenizer.from_str(json.dumps(d))
        t.normalizer = normalizer
        t.pre_tokenizer = pre
        steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        t.decoder = decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if strip else []))
        t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
        yield name, t

    for name, fallback in [("unigram", False), ("unigram_bytes", True)]:
        t = Tokenizer(models.Unigram())
        t.normalizer = normalizers.NFKC()
        t.pre_tokenizer = pre_tokenizers.Metaspace()
        train(t, trainers.UnigramTrainer(vocab_size=320, special_tokens=["<unk>", "<s>", "</s>"] + (bytes_alphabet if fallback else []), unk_token="<unk>", show_progress=False))
        if fallback:
            d = json.loads(t.to_str())
            d["model"]["byte_fallback"] = True
            d["added_tokens"] = [a for a in d["added_tokens"] if not a["content"].startswith("<0x")]
            t = Tokenizer.from_str(json.dumps(d))
        t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]) if fallback else decoders.Metaspace()
        yield name, t

    words = Tokenizer(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    train(words, trainers.BpeTrainer(vocab_size=300, special_tokens=["[UNK]"], continuing_subword_prefix="##", end_of_word_suffix="</w>", limit_alphabet=60, show_progress=False))
    words.decoder = decoders.BPEDecoder()
    yield "affixes", words


def pipelines():
    """Parts that are put in place of those of smollm_like: every split behaviour, every small step."""
    split = [("split_%s%s" % (b, "_inverted" if inv else ""), {"pre_tokenizer": pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\s+|\d"), b, inv), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])})
        for b in ["isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"] for inv in [False, True]]
    literal = [("split_literal_" + b, {"pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.Split("e", b), pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)])})
               for b in ["isolated", "removed", "merged_with_previous", "merged_with_next"]]
    after = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    more = [
        ("digits_together", {"pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.Digits(False), after])}),
        ("punctuation", {"pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), after])}),
        ("punctuation_contiguous", {"pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), after])}),
        ("whitespace", {"pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), after])}),
        ("whitespace_split", {"pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), after])}),
        ("metaspace_always", {"pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), after])}),
        ("bytes_then_split", {"pre_tokenizer": pre_tokenizers.Sequence([after, pre_tokenizers.Split("Ġ", "merged_with_next")])}),
        ("lines", {"pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"^.|x$"), "isolated"), after])}),
        ("escapes", {"pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"[\s\p{P}]+|[^\S\n]|\u00e9|[\u4e00-\u9fff]"), "isolated"), after])}),
        ("nfd", {"normalizer": normalizers.NFD()}), ("nfkc", {"normalizer": normalizers.NFKC()}), ("nfkd", {"normalizer": normalizers.NFKD()}),
        ("lowercase", {"normalizer": normalizers.Lowercase()}), ("strip", {"normalizer": normalizers.Strip()}), ("strip_left", {"normalizer": normalizers.Strip(right=False)}),
        ("replace_regex", {"normalizer": normalizers.Sequence([normalizers.Replace(Regex(r"\s{2,}"), " "), normalizers.Replace("a", "")])}),
        ("prepend", {"normalizer": normalizers.Prepend(">> ")}),
        ("plain_fuse", {"decoder": decoders.Fuse()}), ("no_decoder", {"decoder": None}),
    ]
    return split + literal + more


def goldens(t, texts, offsets=True, aligned=False):
    """`aligned`: the normalizer maps characters one to one, so offsets mean the same with it."""
    rows = []
    for text in texts:
        e = t.encode(text, add_special_tokens=False)
        row = {"text": text, "ids": e.ids}
        full = t.encode(text, add_special_tokens=True).ids
        if full != e.ids:
            row["with_special"] = full
        unchanged = aligned or t.normalizer is None or t.normalizer.normalize_str(text) == text
        if offsets and unchanged:
            bytes_before = [0]
            for c in text:
                bytes_before.append(bytes_before[-1] + len(c.encode("utf-8")))
            row["offsets"] = [[bytes_before[a], bytes_before[b]] for a, b in e.offsets]
        decoded = t.decode(e.ids, skip_special_tokens=False)
        if decoded != text:
            row["decoded"] = decoded
        rows.append(row)
    return rows


def plain_goldens(t, texts):
    """Special tokens in the text read as plain text."""
    t.encode_special_tokens = True
    rows = [{"text": x, "ids": t.encode(x, add_special_tokens=False).ids} for x in texts if "<" in x]
    t.encode_special_tokens = False
    return rows


def sentencepiece_models():
    for kind, extra in [("unigram", {}), ("bpe", {"byte_fallback": True, "character_coverage": 0.98, "normalization_rule_name": "identity", "remove_extra_whitespaces": False}),
                        ("unigram", {"byte_fallback": True, "user_defined_symbols": ["<tool>", "▁▁"], "add_dummy_prefix": False})]:
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS * 3), model_writer=model, model_type=kind, vocab_size=(560 if extra.get("byte_fallback") else 300) if kind == "bpe" or extra else 280,
            hard_vocab_limit=False, minloglevel=2, num_threads=1, **extra)
        name = "sp_" + kind + ("_user" if "user_defined_symbols" in extra else "")
        yield name, model.getvalue()


def write(name, value):
    with open(os.path.join(OUT, name), "w", encoding="utf-8", newline="\n") as f:
        f.write(value if isinstance(value, str) else json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")


def main():
    os.makedirs(OUT, exist_ok=True)
    texts = TEXTS[:-3] + [x for x in TEXTS[-3:] if not any(0xD800 <= ord(c) <= 0xDFFF for c in x)]
    texts += random_texts(60)
    smollm = None
    for name, t in tokenizers():
        write(name + ".json", t.to_str())
        write(name + ".golden.json", {"texts": goldens(t, texts, aligned=name in ("llama2_like", "gemma_like")), "plain": plain_goldens(t, texts)})
        if name == "smollm_like":
            smollm = json.loads(t.to_str())
    cases = []
    for name, parts in pipelines():
        t = Tokenizer.from_str(json.dumps(smollm))
        for key, part in parts.items():
            setattr(t, key, part)
        d = json.loads(t.to_str())
        cases.append({"name": name, "parts": {key: d[key] for key in parts}, "texts": goldens(t, texts[:70], offsets=False)})
    write("pipelines.golden.json", cases)
    for name, model in sentencepiece_models():
        with open(os.path.join(OUT, name + ".model"), "wb") as f:
            f.write(model)
        sp = sentencepiece.SentencePieceProcessor(model_proto=model)
        write(name + ".golden.json", {"texts": [{"text": x, "ids": sp.encode(x)} for x in texts if "\x00" not in x and not any(s in x for s in ("<s>", "</s>", "<unk>"))]})


if __name__ == "__main__":
    main()
