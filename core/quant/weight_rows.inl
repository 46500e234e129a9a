// Rows of stored weights for the kernels that read them, the same text for AVX2 and AVX-512. Included inside the unnamed
// namespaces of the dot and panel kernels after vector_<level>.inl and block_formats.inl.
// A row is a struct with
//   kSegments, Block    how many segments of 32 elements are opened at a time, and as what: decode(k, w) gives the k-th
//   open(block, b)      opens the b-th of them

static_assert(kSegment == kDotSegment);

// A row of blocks as they are stored.
template <class TheBlock>
struct StoredRow {
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
using F32Numbers = Numbers<128, floats>;
using F16Numbers = Numbers<64, halves>;
using Bf16Numbers = Numbers<64, bfloats>;

// A row of packed codes, whose scales lie beside them.
template <class Codes>
struct CodedRow {
  struct Block {
    const uint8_t* p;
    const float* table;
    float scale;
    void decode(int, Vec* w) const { Codes(table).decode(p, scale, w); }
  };
  static constexpr int kSegments = 1, kBytes = kSegment * Codes::kBits / 8;
  const uint8_t* codes;
  const float *scales, *table;
  int scale_shift;
  CodedRow(const DotRun& r, int64_t row)
      : codes(r.codes + row * r.row_bytes), scales(r.scales + row * (r.columns / kDotSegment >> r.scale_shift)), table(r.table), scale_shift(r.scale_shift) {}
  void open(Block& block, int64_t b) const { block = {codes + b * kBytes, table, scales[b >> scale_shift]}; }
};
