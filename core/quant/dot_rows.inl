// Few rows of activations times stored weights, the same text for AVX2 and AVX-512. Included by dot_<level>.cpp inside its
// unnamed namespace after vector_<level>.inl, block_formats.inl and kMostTokens.
// A row of a weight is a struct with
//   kSegments, Block    how many segments of 32 elements are opened at a time, and as what (block_formats.inl)
//   open(block, b)      opens the b-th of them
//   load_x              how activations lie in registers beside the decoded elements
static_assert(kSegment == kDotSegment);

struct InOrder {
  static void load_x(const float* x, Vec* out) {
    for (int p = 0; p < kParts; ++p) out[p] = load(x + p * kLanes);
  }
};

// A row of blocks as they are stored.
template <class TheBlock>
struct StoredRow : InOrder {
  using Block = TheBlock;
  static constexpr int kSegments = Block::kSegments;
  const uint8_t* codes;
  StoredRow(const DotRun& r, int64_t row) : codes(r.codes + row * r.row_bytes) {}
  void open(Block& block, int64_t b) const { block.open(codes + b * Block::kBytes); }
};

// One segment of numbers.
template <int kTheBytes, Vec (*values)(const uint8_t*)>
struct Numbers {
  static constexpr int kBytes = kTheBytes, kSegments = 1;
  const uint8_t* p;
  void open(const uint8_t* segment) { p = segment; }
  void decode(int, Vec* w) const {
    for (int i = 0; i < kParts; ++i) w[i] = values(p + i * (kBytes / kParts));
  }
};
inline Vec floats(const uint8_t* p) { return load(reinterpret_cast<const float*>(p)); }

// Rows whose scales lie beside the codes; Row::decode(segment, w) reads both.
template <class Row>
struct SegmentOf {
  const Row* row;
  int64_t segment;
  void decode(int, Vec* w) const { row->decode(segment, w); }
};

template <class Codes>
struct CodedRow : InOrder {
  using Block = SegmentOf<CodedRow>;
  static constexpr int kSegments = 1, kBytes = kSegment * Codes::kBits / 8;
  const uint8_t* codes;
  const float* scales;
  int scale_shift;
  Codes table;
  CodedRow(const DotRun& r, int64_t row)
      : codes(r.codes + row * r.row_bytes), scales(r.scales + row * (r.columns / kDotSegment >> r.scale_shift)), scale_shift(r.scale_shift), table(r.table) {}
  void open(Block& block, int64_t b) const { block = {this, b}; }
  void decode(int64_t segment, Vec* w) const { table.decode(codes + segment * kBytes, scales[segment >> scale_shift], w); }
};

// Instead of interleaving even and odd elements, which stand in different nibbles, the activations are taken apart.
struct Unpaired : NibbleTable {
  using NibbleTable::NibbleTable;
  void decode(const uint8_t* p, float scale, Vec* w) const { decode_unpaired(p, scale, w); }
};
struct NibbleRow : CodedRow<Unpaired> {
  using CodedRow::CodedRow;
  static void load_x(const float* x, Vec* out) { NibbleTable::load_unpaired(x, out); }
};

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
      for (int t = 0; t < kTokens; ++t) Row::load_x(from + t * r.x_stride + k * kDotSegment, x[t]);
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
  DotKernels k{dot_rows<CodedRow<SmallTable<2>>>, dot_rows<CodedRow<SmallTable<3>>>, dot_rows<NibbleRow>, dot_rows<CodedRow<SignedBytes>>, {}};
  k.stored[0] = dot_rows<StoredRow<Numbers<128, floats>>>;
  k.stored[1] = dot_rows<StoredRow<Numbers<64, halves>>>;
  k.stored[30] = dot_rows<StoredRow<Numbers<64, bfloats>>>;
#define LORIKEET_DOT_BLOCKS(id, Block) k.stored[id] = dot_rows<StoredRow<Block>>;
  LORIKEET_BLOCK_FORMATS(LORIKEET_DOT_BLOCKS)
#undef LORIKEET_DOT_BLOCKS
  return k;
}
