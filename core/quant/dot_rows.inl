// The loops over rows and tokens, and how each format decodes a segment of 32 elements into registers. Included by
// dot_<level>.cpp inside its own unnamed namespace, which defines before: half_at, scales_of_q41, Vec (kLanes f32), Int (kLanes i32), kParts
// vectors a segment, kMostTokens, zero, load, broadcast, fma, mul, add, total, bytes, signed_bytes, high_nibble,
// to_float, halves, bfloats, load_even_odd, and the 4-bit decoders Line and Table.

// How the activations of a segment lie in registers: in order, or even elements before odd ones.
struct InOrder {
  static void load_x(const float* x, Vec* out) {
    for (int p = 0; p < kParts; ++p) out[p] = load(x + p * kLanes);
  }
};

struct F32Row : InOrder {
  const uint8_t* codes;
  F32Row(const DotRun& r, int64_t row) : codes(r.codes + row * r.row_bytes) {}
  void decode(int64_t segment, Vec* w) const { load_x(reinterpret_cast<const float*>(codes + segment * 128), w); }
};

struct F16Row : InOrder {
  const uint8_t* codes;
  F16Row(const DotRun& r, int64_t row) : codes(r.codes + row * r.row_bytes) {}
  void decode(int64_t segment, Vec* w) const {
    for (int p = 0; p < kParts; ++p) w[p] = halves(codes + segment * 64 + p * kLanes * 2);
  }
};

struct Bf16Row : InOrder {
  const uint8_t* codes;
  Bf16Row(const DotRun& r, int64_t row) : codes(r.codes + row * r.row_bytes) {}
  void decode(int64_t segment, Vec* w) const {
    for (int p = 0; p < kParts; ++p) w[p] = bfloats(codes + segment * 64 + p * kLanes * 2);
  }
};

// 16 bytes of nibbles whose low halves are the first 16 elements.
template <class Values>
inline void halves_of_bytes(const uint8_t* p, const Values& values, Vec* w) {
  for (int i = 0; i < kParts / 2; ++i) {
    const Int q = bytes(p + i * kLanes);
    w[i] = values.of(q);
    w[i + kParts / 2] = values.of(high_nibble(q));
  }
}

struct Q40Row : InOrder {
  const uint8_t* codes;
  Q40Row(const DotRun& r, int64_t row) : codes(r.codes + row * r.row_bytes) {}
  void decode(int64_t segment, Vec* w) const {
    const uint8_t* p = codes + segment * 18;
    halves_of_bytes(p + 2, Line(broadcast(half_at(p)), -8.0f, zero()), w);
  }
};

struct Q41Row : InOrder {
  const uint8_t* codes;
  Q41Row(const DotRun& r, int64_t row) : codes(r.codes + row * r.row_bytes) {}
  void decode(int64_t segment, Vec* w) const {
    const uint8_t* p = codes + segment * 20;
    uint32_t both;
    __builtin_memcpy(&both, p, 4);
    const __m128 scale_and_minimum = _mm_cvtph_ps(_mm_cvtsi32_si128(static_cast<int>(both)));
    halves_of_bytes(p + 4, Line(first_lane(scale_and_minimum), 0.0f, first_lane(_mm_movehdup_ps(scale_and_minimum))), w);
  }
};

// The same with scales and minima taken out of the blocks beforehand: broadcasting them from memory costs no shuffle.
struct Q41PreparedRow : InOrder {
  const uint8_t* codes;
  const float *scales, *minima;
  Q41PreparedRow(const DotRun& r, int64_t row)
      : codes(r.codes + row * r.row_bytes), scales(r.scales + row * (r.columns / kDotSegment)), minima(r.table + row * (r.columns / kDotSegment)) {}
  void decode(int64_t segment, Vec* w) const {
    halves_of_bytes(codes + segment * 20 + 4, Line(broadcast(scales[segment]), 0.0f, broadcast(minima[segment])), w);
  }
};

struct Q80Row : InOrder {
  const uint8_t* codes;
  Q80Row(const DotRun& r, int64_t row) : codes(r.codes + row * r.row_bytes) {}
  void decode(int64_t segment, Vec* w) const {
    const uint8_t* p = codes + segment * 34;
    const Vec d = broadcast(half_at(p));
    for (int i = 0; i < kParts; ++i) w[i] = mul(d, to_float(signed_bytes(p + 2 + i * kLanes)));
  }
};

struct Iq4NlRow : InOrder {
  const uint8_t* codes;
  Iq4NlRow(const DotRun& r, int64_t row) : codes(r.codes + row * r.row_bytes) {}
  void decode(int64_t segment, Vec* w) const {
    static const float kValues[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    const uint8_t* p = codes + segment * 18;
    halves_of_bytes(p + 2, Table(kValues, broadcast(half_at(p))), w);
  }
};

// Blocks of 256: eight segments with a 6-bit scale and minimum each; two of them share 32 bytes.
struct Q4KRow : InOrder {
  const uint8_t* codes;
  Q4KRow(const DotRun& r, int64_t row) : codes(r.codes + row * r.row_bytes) {}
  void decode(int64_t segment, Vec* w) const {
    const uint8_t *p = codes + segment / 8 * 144, *s = p + 4;
    const int k = static_cast<int>(segment % 8);
    const int scale = k < 4 ? s[k] & 63 : (s[k + 4] & 15) + 16 * (s[k - 4] >> 6);
    const int minimum = k < 4 ? s[k + 4] & 63 : (s[k + 4] >> 4) + 16 * (s[k] >> 6);
    const Line line(broadcast(half_at(p) * static_cast<float>(scale)), 0.0f, broadcast(-(half_at(p + 2) * static_cast<float>(minimum))));
    const uint8_t* q = p + 16 + 32 * (k / 2);
    for (int i = 0; i < kParts; ++i) {
      const Int both = bytes(q + i * kLanes);
      w[i] = line.of(k % 2 == 0 ? both : high_nibble(both));
    }
  }
};

// Blocks of 256: segment k = 4n + j has two scales, four low bits at 64n + 32(j % 2) and two high bits at 32n.
struct Q6KRow : InOrder {
  const uint8_t* codes;
  Q6KRow(const DotRun& r, int64_t row) : codes(r.codes + row * r.row_bytes) {}
  void decode(int64_t segment, Vec* w) const {
    const uint8_t* p = codes + segment / 8 * 210;
    const int k = static_cast<int>(segment % 8), n = k / 4, j = k % 4;
    const float d = half_at(p + 208);
    const auto* scales = reinterpret_cast<const int8_t*>(p + 192 + 2 * k);
    const uint8_t *low = p + 64 * n + 32 * (j % 2), *high = p + 128 + 32 * n;
    for (int i = 0; i < kParts; ++i) {
      const Vec s = broadcast(d * static_cast<float>(scales[i / (kParts / 2)]));
      w[i] = mul(s, to_float(six_bits(bytes(low + i * kLanes), j < 2 ? 0 : 4, bytes(high + i * kLanes), 2 * j)));
    }
  }
};

struct Codes8Row : InOrder {
  const uint8_t* codes;
  const float* scales;
  Codes8Row(const DotRun& r, int64_t row) : codes(r.codes + row * r.row_bytes), scales(r.scales + row * (r.columns / kDotSegment)) {}
  void decode(int64_t segment, Vec* w) const {
    const Vec scale = broadcast(scales[segment]);
    for (int i = 0; i < kParts; ++i) w[i] = mul(to_float(signed_bytes(codes + segment * 32 + i * kLanes)), scale);
  }
};

// Even elements stand in the high nibbles: instead of interleaving the codes, the activations are taken apart.
struct Codes4Row {
  const uint8_t* codes;
  const float *scales, *table;
  Codes4Row(const DotRun& r, int64_t row)
      : codes(r.codes + row * r.row_bytes), scales(r.scales + row * (r.columns / kDotSegment)), table(r.table) {}
  static void load_x(const float* x, Vec* out) {
    for (int i = 0; i < kParts / 2; ++i) load_even_odd(x + 2 * i * kLanes, out[2 * i], out[2 * i + 1]);
  }
  void decode(int64_t segment, Vec* w) const {
    const Table values(table, broadcast(scales[segment]));
    for (int i = 0; i < kParts / 2; ++i) {
      const Int q = bytes(codes + segment * 16 + i * kLanes);
      w[2 * i] = values.of(high_nibble(q));
      w[2 * i + 1] = values.of(q);
    }
  }
};

template <class Row, int kRows, int kTokens>
inline __attribute__((always_inline)) void tile(const DotRun& r, int64_t row, int64_t token, const Row (&rows)[kRows]) {
  Vec sums[kRows][kTokens];
  for (int i = 0; i < kRows; ++i)
    for (int t = 0; t < kTokens; ++t) sums[i][t] = zero();
  for (int64_t s = 0; s < r.columns / kDotSegment; ++s) {
    Vec x[kTokens][kParts];
    for (int t = 0; t < kTokens; ++t) Row::load_x(r.x + (token + t) * r.x_stride + s * kDotSegment, x[t]);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      Vec w[kParts];
      rows[i].decode(s, w);
#pragma GCC unroll 4
      for (int t = 0; t < kTokens; ++t)
        for (int p = 0; p < kParts; ++p) sums[i][t] = fma(w[p], x[t][p], sums[i][t]);
    }
  }
  for (int i = 0; i < kRows; ++i)
    for (int t = 0; t < kTokens; ++t) r.y[(token + t) * r.y_stride + row + i] = total(sums[i][t]);
}

template <class Row, int kTokens>
void rows_of(const DotRun& r, int64_t row, int64_t count, int64_t token) {
  if (count == 4) {
    const Row rows[4] = {{r, row}, {r, row + 1}, {r, row + 2}, {r, row + 3}};
    return tile<Row, 4, kTokens>(r, row, token, rows);
  }
  for (int64_t i = row; i < row + count; ++i) {
    const Row rows[1] = {{r, i}};
    tile<Row, 1, kTokens>(r, i, token, rows);
  }
}

// Asks for the rows after next. Four short rows read side by side look like no stream to the hardware, which then fetches
// nothing ahead (measured: a quarter of the speed on rows of 612 bytes); long rows it follows by itself.
inline void fetch_ahead(const DotRun& r, int64_t row) {
  constexpr int64_t kMostBytes = 8192, kLine = 64;
  if (4 * r.row_bytes > kMostBytes) return;
  const auto ahead = reinterpret_cast<uintptr_t>(r.codes) + static_cast<uintptr_t>((row + 8) * r.row_bytes);
  for (int64_t at = 0; at < 4 * r.row_bytes; at += kLine) _mm_prefetch(reinterpret_cast<const char*>(ahead + static_cast<uintptr_t>(at)), _MM_HINT_T0);
}

// Four rows at a time, so that the activations are loaded once for them; their codes stay in the L1 cache for all tokens.
template <class Row>
void dot_rows(const DotRun& r) {
  for (int64_t row = 0; row < r.rows; row += 4) {
    const int64_t count = r.rows - row < 4 ? r.rows - row : 4;
    fetch_ahead(r, row);
    int64_t token = 0;
    for (; token + kMostTokens <= r.tokens; token += kMostTokens) rows_of<Row, kMostTokens>(r, row, count, token);
    if (kMostTokens > 2 && token + 2 <= r.tokens) {
      rows_of<Row, 2>(r, row, count, token);
      token += 2;
    }
    if (token < r.tokens) rows_of<Row, 1>(r, row, count, token);
  }
}

template <class Row>
void dot(const DotRun& r) {
  dot_rows<Row>(r);
}
template <>
inline void dot<Q41Row>(const DotRun& r) {
  constexpr int64_t kMost = 1024;  // blocks prepared at a time, on the stack
  const int64_t segments = r.columns / kDotSegment;
  if (segments * 4 > kMost) return dot_rows<Q41Row>(r);
  alignas(64) float scales[kMost], minima[kMost];
  for (int64_t row = 0; row < r.rows; row += 4) {
    DotRun four = r;
    four.codes += row * r.row_bytes;
    four.y += row;
    four.rows = r.rows - row < 4 ? r.rows - row : 4;
    scales_of_q41(four.codes, four.rows * segments, scales, minima);
    four.scales = scales;
    four.table = minima;
    dot_rows<Q41PreparedRow>(four);
  }
}

// What serves each stored type, indexed by ggml type id: `kernel`<how its rows are decoded>, or `none`.
#define LORIKEET_BY_TYPE(kernel, none)                                                                       \
  {kernel<F32Row>, kernel<F16Row>, kernel<Q40Row>, kernel<Q41Row>, none, none, none, none, kernel<Q80Row>,     \
   none, none, none, kernel<Q4KRow>, none, kernel<Q6KRow>, none, none, none, none, none, kernel<Iq4NlRow>,     \
   none, none, none, none, none, none, none, none, none, kernel<Bf16Row>}
