// The weight formats as vectors: how 32 elements become f32 in registers, with the bits that decode_scalar.cpp gives, where
// the layouts are written out element by element. Included inside the unnamed namespaces of decode_<level>.cpp and
// dot_<level>.cpp, after vector_<level>.inl.
// To add a stored type: write its struct, add one line to the list at the end. A struct is one block:
//   kBytes, kSegments   its size, and how many segments of 32 elements it has
//   open(p)             reads what the segments share: scales and minima, as f32
//   decode(k, w)        segment k into kParts vectors
// Codes are put together as bytes, all 32 of a segment in one register of 256 bits; then they become f32.

// Byte vectors. Shifts go over 16-bit lanes: bits of a neighbour come in, and a mask always follows.
inline __m128i load16(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline __m256i load32(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline __m256i masked(__m256i v, int mask) { return _mm256_and_si256(v, _mm256_set1_epi8(static_cast<char>(mask))); }
inline __m256i either(__m256i a, __m256i b) { return _mm256_or_si256(a, b); }
/// Bit `from` of each byte moves to bit `to`, with what stands around it.
inline __m256i moved(__m256i v, int from, int to) { return from >= to ? _mm256_srli_epi16(v, from - to) : _mm256_slli_epi16(v, to - from); }

/// out = factor * n for eight signed bytes n.
inline void eight_scales(int64_t n, float factor, float* out) {
  const __m256 values = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(n)));
  _mm256_storeu_ps(out, _mm256_mul_ps(_mm256_set1_ps(factor), values));
}
inline uint64_t both_words(uint32_t low, uint32_t high) { return low | static_cast<uint64_t>(high) << 32; }

// Keeps scales in memory, from where a broadcast costs no shuffle. Left to itself the compiler holds them in registers and
// takes each out with two (measured: Q2_K at two thirds of the speed).
inline void keep_in_memory(const float* scales) { __asm__ volatile("" : : "r"(scales) : "memory"); }

// 32-element blocks.

struct Q40 {
  static constexpr int kBytes = 18, kSegments = 1;
  const uint8_t* p;
  void open(const uint8_t* block) { p = block; }
  void decode(int, Vec* w) const { Scaled(broadcast(half_at(p)), -8).decode(low_then_high(p + 2), w); }
};

struct Q41 {
  static constexpr int kBytes = 20, kSegments = 1;
  const uint8_t* p;
  void open(const uint8_t* block) { p = block; }
  void decode(int, Vec* w) const {
    const __m128 both = _mm_cvtph_ps(_mm_cvtsi32_si128(word_at(p)));
    Line(first_lane(both), first_lane(_mm_movehdup_ps(both))).decode(low_then_high(p + 4), w);
  }
};

struct Q50 {
  static constexpr int kBytes = 22, kSegments = 1;
  const uint8_t* p;
  void open(const uint8_t* block) { p = block; }
  void decode(int, Vec* w) const {
    Int codes[kParts];
    nibbles_and_bits(p + 6, ~static_cast<uint32_t>(word_at(p + 2)), -16, codes);
    const Vec d = broadcast(half_at(p));
    for (int i = 0; i < kParts; ++i) w[i] = mul(d, to_float(codes[i]));
  }
};

struct Q51 {
  static constexpr int kBytes = 24, kSegments = 1;
  const uint8_t* p;
  void open(const uint8_t* block) { p = block; }
  void decode(int, Vec* w) const {
    Int codes[kParts];
    nibbles_and_bits(p + 8, static_cast<uint32_t>(word_at(p + 4)), 16, codes);
    const __m128 both = _mm_cvtph_ps(_mm_cvtsi32_si128(word_at(p)));
    const Vec d = first_lane(both), m = first_lane(_mm_movehdup_ps(both));
    for (int i = 0; i < kParts; ++i) w[i] = add(mul(d, to_float(codes[i])), m);
  }
};

struct Q80 {
  static constexpr int kBytes = 34, kSegments = 1;
  const uint8_t* p;
  void open(const uint8_t* block) { p = block; }
  void decode(int, Vec* w) const {
    const Vec d = broadcast(half_at(p));
    for (int i = 0; i < kParts; ++i) w[i] = mul(d, to_float(signed_bytes(p + 2 + i * kLanes)));
  }
};

constexpr TableEntry kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

struct Iq4Nl {
  static constexpr int kBytes = 18, kSegments = 1;
  const uint8_t* p;
  void open(const uint8_t* block) { p = block; }
  void decode(int, Vec* w) const { ScaledIntegers(broadcast(half_at(p)), kIq4Values).decode(low_then_high(p + 2), w); }
};

// 256-element blocks: eight segments k = 4n + j.

struct Iq4Xs {
  static constexpr int kBytes = 136, kSegments = 8;
  const uint8_t* p;
  float scales[8];
  void open(const uint8_t* block) {
    p = block;
    const __m256i low_shifts = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28), high_shifts = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
    const __m256i low = _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(word_at(p + 4)), low_shifts), _mm256_set1_epi32(15));
    const __m256i high = _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(p[2] | p[3] << 8), high_shifts), _mm256_set1_epi32(3));
    const __m256i both = _mm256_sub_epi32(_mm256_or_si256(low, _mm256_slli_epi32(high, 4)), _mm256_set1_epi32(32));
    _mm256_storeu_ps(scales, _mm256_mul_ps(_mm256_set1_ps(half_at(p)), _mm256_cvtepi32_ps(both)));
  }
  void decode(int k, Vec* w) const { ScaledIntegers(broadcast(scales[k]), kIq4Values).decode(low_then_high(p + 8 + 16 * k), w); }
};

struct Q2K {
  static constexpr int kBytes = 84, kSegments = 8;
  const uint8_t* p;
  float scales[16], intercepts[16];  // of half segments; an intercept is the minimum with its sign turned
  void open(const uint8_t* block) {
    p = block;
    const float d = half_at(p + 80), minus_dmin = -half_at(p + 82);
    for (int i = 0; i < 2; ++i) {
      uint64_t n;
      __builtin_memcpy(&n, p + 8 * i, 8);
      eight_scales(static_cast<int64_t>(n & 0x0F0F0F0F0F0F0F0F), d, scales + 8 * i);
      eight_scales(static_cast<int64_t>(n >> 4 & 0x0F0F0F0F0F0F0F0F), minus_dmin, intercepts + 8 * i);
    }
    keep_in_memory(scales);
    keep_in_memory(intercepts);
  }
  void decode(int k, Vec* w) const {
    static constexpr float kCodes[4] = {0, 1, 2, 3};
    const uint8_t* q = p + 16 + 32 * (k / 4);
    for (int i = 0; i < kParts; ++i) {
      const int half = 2 * k + i / (kParts / 2);
      const Vec values = add(mul(table_of_4(kCodes), broadcast(scales[half])), broadcast(intercepts[half]));
      w[i] = lookup(values, shifted(bytes(q + i * kLanes), 2 * (k % 4)));
    }
  }
};

struct Q3K {  // 2 bits, and a third that takes 4 away where it is clear
  static constexpr int kBytes = 110, kSegments = 8;
  const uint8_t* p;
  float scales[16];  // of half segments
  void open(const uint8_t* block) {
    p = block;
    const float d = half_at(p + 108);
    uint64_t low;
    __builtin_memcpy(&low, p + 96, 8);
    const auto high = static_cast<uint32_t>(word_at(p + 104));
    for (int i = 0; i < 2; ++i) {  // part 8i + m: nibble i of byte m, bits 4i.. of byte 8 + m % 4 for m < 4, 4i + 2.. for m >= 4
      const uint64_t two = both_words(high >> (4 * i), high >> (4 * i + 2)) & 0x0303030303030303;
      const uint64_t six = (low >> (4 * i) & 0x0F0F0F0F0F0F0F0F) | two << 4;
      const __m128i n = _mm_sub_epi8(_mm_cvtsi64_si128(static_cast<int64_t>(six)), _mm_set1_epi8(32));
      eight_scales(_mm_cvtsi128_si64(n), d, scales + 8 * i);
    }
    keep_in_memory(scales);
  }
  void decode(int k, Vec* w) const {
    static constexpr float kCodes[8] = {-4, -3, -2, -1, 0, 1, 2, 3};
    const __m256i low = masked(moved(load32(p + 32 + 32 * (k / 4)), 2 * (k % 4), 0), 3);
    const __m256i codes = either(low, masked(moved(load32(p), k, 2), 4));
    for (int i = 0; i < kParts; ++i) w[i] = lookup(mul(table_of_8(kCodes), broadcast(scales[2 * k + i / (kParts / 2)])), part(codes, i));
  }
};

// The 6-bit scales and minima of Q4_K and Q5_K: 12 bytes at s. Of the last four, the first half of a block takes none.
struct ScalesAndMinima {
  float scales[8], intercepts[8];  // an intercept is the minimum with its sign turned
  void open(const uint8_t* s, float d, float dmin) {
    const auto word = [s](int i) { return static_cast<uint32_t>(word_at(s + 4 * i)); };
    const uint32_t a = word(0), b = word(1), c = word(2);
    const uint64_t n = both_words(a & 0x3F3F3F3F, (c & 0x0F0F0F0F) | (a >> 2 & 0x30303030));
    const uint64_t m = both_words(b & 0x3F3F3F3F, (c >> 4 & 0x0F0F0F0F) | (b >> 2 & 0x30303030));
    eight_scales(static_cast<int64_t>(n), d, scales);
    eight_scales(static_cast<int64_t>(m), -dmin, intercepts);
    keep_in_memory(scales);
    keep_in_memory(intercepts);
  }
};

struct Q4K {
  static constexpr int kBytes = 144, kSegments = 8;
  const uint8_t* p;
  ScalesAndMinima s;
  void open(const uint8_t* block) {
    p = block;
    s.open(p + 4, half_at(p), half_at(p + 2));
  }
  void decode(int k, Vec* w) const {
    const Line line(broadcast(s.scales[k]), broadcast(s.intercepts[k]));
    const uint8_t* q = p + 16 + 32 * (k / 2);
    const Halves both = {load16(q), load16(q + 16)};
    line.decode(k % 2 == 0 ? both : Halves{_mm_srli_epi16(both.first, 4), _mm_srli_epi16(both.second, 4)}, w);
  }
};

struct Q5K {
  static constexpr int kBytes = 176, kSegments = 8;
  const uint8_t* p;
  ScalesAndMinima s;
  void open(const uint8_t* block) {
    p = block;
    s.open(p + 4, half_at(p), half_at(p + 2));
  }
  void decode(int k, Vec* w) const {
    const __m256i low = masked(moved(load32(p + 48 + 32 * (k / 2)), 4 * (k % 2), 0), 15);
    const __m256i codes = either(low, masked(moved(load32(p + 16), k, 4), 16));
    for (int i = 0; i < kParts; ++i) w[i] = add(mul(broadcast(s.scales[k]), to_float(part(codes, i))), broadcast(s.intercepts[k]));
  }
};

struct Q6K {
  static constexpr int kBytes = 210, kSegments = 8;
  const uint8_t* p;
  float scales[16];  // of half segments
  void open(const uint8_t* block) {
    p = block;
    for (int i = 0; i < 2; ++i) {
      int64_t n;
      __builtin_memcpy(&n, p + 192 + 8 * i, 8);
      eight_scales(n, half_at(p + 208), scales + 8 * i);
    }
    keep_in_memory(scales);
  }
  void decode(int k, Vec* w) const {
    const int n = k / 4, j = k % 4;
    const __m256i low = masked(moved(load32(p + 64 * n + 32 * (j % 2)), j < 2 ? 0 : 4, 0), 15);
    const __m256i high = masked(moved(load32(p + 128 + 32 * n), 2 * j, 4), 0x30);
    const __m256i codes = _mm256_sub_epi8(either(low, high), _mm256_set1_epi8(32));
    for (int i = 0; i < kParts; ++i) w[i] = mul(broadcast(scales[2 * k + i / (kParts / 2)]), to_float(part(codes, i)));
  }
};

// Packed codes with a table and one scale for all 32 elements (CodeRun); NibbleTable stands in vector_<level>.inl.

template <int kTheBits>
struct SmallTable {
  static constexpr int kBits = kTheBits;
  static_assert(kBits == 2 || kBits == 3);
  Vec values;
  explicit SmallTable(const float* table) : values(kBits == 2 ? table_of_4(table) : table_of_8(table)) {}
  void decode(const uint8_t* p, float scale, Vec* w) const {
    const Vec scaled = mul(values, broadcast(scale));
    Int codes[kParts];
    if constexpr (kBits == 2) codes_of_2_bits(p, codes);
    else codes_of_3_bits(p, codes);
    for (int i = 0; i < kParts; ++i) w[i] = lookup(scaled, codes[i]);
  }
};

struct SignedBytes {
  static constexpr int kBits = 8;
  explicit SignedBytes(const float*) {}
  void decode(const uint8_t* p, float scale, Vec* w) const {
    for (int i = 0; i < kParts; ++i) w[i] = mul(to_float(signed_bytes(p + i * kLanes)), broadcast(scale));
  }
};

// Block formats by ggml type id.
#define LORIKEET_BLOCK_FORMATS(X) \
  X(2, Q40) X(3, Q41) X(6, Q50) X(7, Q51) X(8, Q80) X(10, Q2K) X(11, Q3K) X(12, Q4K) X(13, Q5K) X(14, Q6K) X(20, Iq4Nl) X(23, Iq4Xs)
