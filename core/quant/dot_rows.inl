// Few rows of activations times stored weights, the same text for AVX2 and AVX-512. Included by dot_<level>.cpp inside its
// unnamed namespace after vector_<level>.inl, block_formats.inl, weight_rows.inl and kMostTokens.

// How the activations of a segment lie in registers beside the decoded elements: in order.
template <class Row>
inline void load_x(const Row&, const float* x, Vec* out) {
  for (int p = 0; p < kParts; ++p) out[p] = load(x + p * kLanes);
}

// Instead of interleaving even and odd elements, which stand in different nibbles, the activations are taken apart.
struct Unpaired : NibbleTable {
  using NibbleTable::NibbleTable;
  void decode(const uint8_t* p, float scale, Vec* w) const { decode_unpaired(p, scale, w); }
};
inline void load_x(const CodedRow<Unpaired>&, const float* x, Vec* out) { NibbleTable::load_unpaired(x, out); }

template <class Row, int kRows, int kTokens>
inline __attribute__((always_inline)) void tile(const DotRun& r, int64_t row, int64_t token, const Row (&rows)[kRows]) {
  Vec sums[kRows][kTokens];
  for (int i = 0; i < kRows; ++i)
    for (int t = 0; t < kTokens; ++t) sums[i][t] = zero();
  for (int64_t b = 0; b < r.columns / (kDotSegment * Row::kSegments); ++b) {
    typename Row::Block blocks[kRows];
    for (int i = 0; i < kRows; ++i) rows[i].open(blocks[i], b);
    const float* from = r.x + token * r.x_stride + b * (kDotSegment * Row::kSegments);
#pragma GCC unroll 8
    for (int k = 0; k < Row::kSegments; ++k) {
      Vec x[kTokens][kParts];
      for (int t = 0; t < kTokens; ++t) load_x(rows[0], from + t * r.x_stride + k * kDotSegment, x[t]);
#pragma GCC unroll 4
      for (int i = 0; i < kRows; ++i) {
        Vec w[kParts];
        blocks[i].decode(k, w);
#pragma GCC unroll 4
        for (int t = 0; t < kTokens; ++t)
          for (int p = 0; p < kParts; ++p) sums[i][t] = fma(w[p], x[t][p], sums[i][t]);
      }
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

constexpr DotKernels dot_list() {
  DotKernels k{dot_rows<CodedRow<SmallTable<2>>>, dot_rows<CodedRow<SmallTable<3>>>, dot_rows<CodedRow<Unpaired>>, dot_rows<CodedRow<SignedBytes>>, {}};
  k.stored[0] = dot_rows<StoredRow<F32Numbers>>;
  k.stored[1] = dot_rows<StoredRow<F16Numbers>>;
  k.stored[30] = dot_rows<StoredRow<Bf16Numbers>>;
#define LORIKEET_DOT_BLOCKS(id, Block) k.stored[id] = dot_rows<StoredRow<Block>>;
  LORIKEET_BLOCK_FORMATS(LORIKEET_DOT_BLOCKS)
#undef LORIKEET_DOT_BLOCKS
  return k;
}
