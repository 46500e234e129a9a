"""Models of well-known shapes, as random_base.cpp makes them, and the goals that runs on a card are held against."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    feed_forward: int
    vocabulary: int
    tied: bool

    @property
    def q(self):
        return self.heads * self.head_dim

    @property
    def kv(self):
        return self.kv_heads * self.head_dim

    def linears(self):
        """(name, outputs, inputs) of one layer, in the order of the sources: q k v o gate up down."""
        c, f = self.hidden, self.feed_forward
        return [("q", self.q, c), ("k", self.kv, c), ("v", self.kv, c), ("o", c, self.q), ("gate", f, c), ("up", f, c), ("down", c, f)]

    def linear_weights(self):
        return self.layers * sum(rows * columns for _, rows, columns in self.linears())

    def table_weights(self):
        """Embedding, and the head where it is a matrix of its own."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    def head_weights(self):
        """What of the two lies on the card: the embedding is the head, or it stays on the host (all of these are large)."""
        return self.vocabulary * self.hidden

    def adapter_weights(self, rank):
        return self.layers * rank * sum(rows + columns for _, rows, columns in self.linears())


SHAPES = {
    "tiny": Shape(128, 2, 2, 1, 64, 192, 300, True),
    "135m": Shape(576, 30, 9, 3, 64, 1536, 49152, True),
    "1b": Shape(2048, 16, 32, 8, 64, 8192, 128256, True),
    "8b": Shape(4096, 32, 32, 8, 128, 14336, 128256, False),
    "65b": Shape(8192, 80, 64, 64, 128, 22016, 32000, False),
    "70b": Shape(8192, 80, 64, 8, 128, 28672, 128256, False),
}


@dataclass(frozen=True)
class Goal:
    key: str
    what: str
    unit: str
    hold: float
    goal: float
    stretch: float
    more_is_better: bool = True

    def verdict(self, value):
        """The best of the three that `value` reaches."""
        if value is None:
            return "not measured"
        for name in ("stretch", "goal", "hold"):
            limit = getattr(self, name)
            if value >= limit if self.more_is_better else value <= limit:
                return name
        return "missed"


GOALS = [
    Goal("tokens_8b", "8B, NF4, rank 16, rows of 4096, 8192 tokens a micro-batch (H100/H200)", "tokens/s", 12500, 15500, 18000),
    Goal("fixed_8b", "8B, rank 32: memory without tokens", "GB", 7.37, 6.9, 5.5, False),
    Goal("token_8b", "8B, rank 32: memory a token", "KB", 212, 150, 90, False),
    Goal("memory_65b", "65B class, rank 16, one row of 512: peak", "GB", 48, 44, 40, False),
    Goal("attention_forward", "attention forward, width 128, 4096 tokens: share of the bf16 peak", "%", 25, 35, 50),
    Goal("attention_backward", "attention backward, the same", "%", 20, 30, 40),
    Goal("nf4_decode", "decoding NF4: share of the bandwidth", "%", 75, 85, 92),
    Goal("step_135m", "135M, one row of 512: step against eager PyTorch", "times", 5, 10, 15),
]

# Dense bf16 in TFLOP/s and memory in GB/s as the vendor states them, by a part of the card's name; the first that fits.
CARDS = [("H200", 989, 4800), ("H100 PCIe", 756, 2000), ("H100", 989, 3350), ("A100", 312, 2039), ("L40S", 362, 864), ("L4", 121, 300),
         ("4090", 165, 1008), ("3090", 71, 936), ("T4", 65, 320)]


def card_figures(name):
    """(bf16 peak in FLOP/s, bandwidth in bytes/s), or None for a card that is not listed."""
    return next(((flops * 1e12, gb * 1e9) for part, flops, gb in CARDS if part in name), None)
