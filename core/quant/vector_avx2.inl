// The vectors of AVX2 + FMA + F16C and what the decoders and dot kernels do with them. Included by decode_avx2.cpp and
// dot_avx2.cpp inside their unnamed namespaces, after <immintrin.h>. vector_avx512.inl is its twin: same names.
// A segment is 32 elements: kParts vectors of kLanes, or 32 codes of one byte each in a __m256i.

using Vec = __m256;
using Int = __m256i;
constexpr int kLanes = 8, kParts = 4, kSegment = 32;

inline int word_at(const uint8_t* p) {
  int word;
  __builtin_memcpy(&word, p, 4);
  return word;
}
inline float half_at(const uint8_t* p) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(p[0] | (p[1] << 8)))); }
inline Vec zero() { return _mm256_setzero_ps(); }
inline Vec load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
inline Vec broadcast(float v) { return _mm256_set1_ps(v); }
inline Vec first_lane(__m128 v) { return _mm256_broadcastss_ps(v); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
inline Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
inline Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
inline float total(Vec v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline Int bytes(const uint8_t* p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))); }
inline Int signed_bytes(const uint8_t* p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))); }
inline Int shifted(Int q, int bits) { return _mm256_srli_epi32(q, bits); }
inline Int high_nibble(Int q) { return _mm256_srli_epi32(q, 4); }
inline Vec to_float(Int v) { return _mm256_cvtepi32_ps(v); }
inline Vec halves(const uint8_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
inline Vec bfloats(const uint8_t* p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
}

// Part p of 32 signed bytes, which lie in one register or, where they were made 16 at a time, in two.
struct Halves { __m128i first, second; };
inline Int part(Halves codes, int p) {
  const __m128i half = p < 2 ? codes.first : codes.second;
  return _mm256_cvtepi8_epi32(p % 2 == 0 ? half : _mm_srli_si128(half, 8));
}
inline Int part(__m256i codes, int p) { return part(Halves{_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1)}, p); }

// 16 bytes of nibbles as 32 bytes: low ones first; what stands above a nibble is left there.
inline Halves low_then_high(const uint8_t* p) {
  const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {both, _mm_srli_epi16(both, 4)};
}

// 16 bytes of nibbles, low ones first; `what` is added where bit e of `where` is set.
inline void nibbles_and_bits(const uint8_t* p, uint32_t where, int8_t what, Int* out) {
  const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
  const __m256i own_bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
  const __m256i bits = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(where)), spread), own_bit);
  const __m256i added = _mm256_and_si256(_mm256_cmpeq_epi8(bits, own_bit), _mm256_set1_epi8(what));
  const Halves both = low_then_high(p);
  const __m256i nibbles = _mm256_and_si256(_mm256_set_m128i(both.second, both.first), _mm256_set1_epi8(15));
  for (int i = 0; i < kParts; ++i) out[i] = part(_mm256_add_epi8(nibbles, added), i);
}

// 32 codes of 2 or 3 bits, each in the low bits of a lane; the bits above are not cleared.
inline void codes_of_2_bits(const uint8_t* p, Int* out) {
  const Int low = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14), high = _mm256_add_epi32(low, _mm256_set1_epi32(16));
  for (int i = 0; i < kParts; ++i) out[i] = _mm256_srlv_epi32(_mm256_set1_epi32(word_at(p + i / 2 * 4)), i % 2 == 0 ? low : high);
}
inline void codes_of_3_bits(const uint8_t* p, Int* out) {
  const Int shifts = _mm256_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21);
  for (int i = 0; i < 3; ++i) out[i] = _mm256_srlv_epi32(_mm256_set1_epi32(word_at(p + 3 * i)), shifts);
  out[3] = _mm256_srlv_epi32(_mm256_set1_epi32(word_at(p + 8)), _mm256_add_epi32(shifts, _mm256_set1_epi32(8)));  // ends with byte 12
}
// A table of 4 or 8 values, repeated so that the bits above a code do not matter to lookup().
inline Vec table_of_4(const float* table) { return _mm256_broadcast_ps(reinterpret_cast<const __m128*>(table)); }
inline Vec table_of_8(const float* table) { return load(table); }
inline Vec lookup(Vec table, Int codes) { return _mm256_permutevar8x32_ps(table, codes); }

// A 16-entry lookup as two 8-entry ones, chosen by bit 3 of the code.
struct Table {
  Vec low, high;
  Vec of(Int codes) const {
    const Vec upper_half = _mm256_castsi256_ps(_mm256_slli_epi32(codes, 28));
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, codes), _mm256_permutevar8x32_ps(high, codes), upper_half);
  }
};

// Codes whose even elements stand in the high nibbles, looked up in a table of 16 values.
struct NibbleTable {
  static constexpr int kBits = 4;
  Table values;
  explicit NibbleTable(const float* table) : values{load(table), load(table + 8)} {}
  Table scaled(float scale) const { return {mul(values.low, broadcast(scale)), mul(values.high, broadcast(scale))}; }
  void decode(const uint8_t* p, float scale, Vec* w) const {
    const Table table = scaled(scale);
    const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), even = _mm_srli_epi16(both, 4);
    const Halves codes = {_mm_unpacklo_epi8(even, both), _mm_unpackhi_epi8(even, both)};
    for (int i = 0; i < kParts; ++i) w[i] = table.of(part(codes, i));
  }
  // In the order of load_unpaired(): of 16 elements the even ones, then the odd ones.
  void decode_unpaired(const uint8_t* p, float scale, Vec* w) const {
    const Table table = scaled(scale);
    for (int i = 0; i < kParts; i += 2) {
      const Int both = bytes(p + i / 2 * kLanes);
      w[i] = table.of(high_nibble(both));
      w[i + 1] = table.of(both);
    }
  }
  static void load_unpaired(const float* x, Vec* out) {
    const auto in_order = [](Vec v) { return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xD8)); };
    for (int i = 0; i < kParts; i += 2) {
      const Vec a = load(x + i * kLanes), b = load(x + (i + 1) * kLanes);
      out[i] = in_order(_mm256_shuffle_ps(a, b, 0x88));
      out[i + 1] = in_order(_mm256_shuffle_ps(a, b, 0xDD));
    }
  }
};

// What the low nibble of a byte stands for. decode() takes 32 bytes and does not look at their high nibbles.
inline __m128i low_nibbles(__m128i raw) { return _mm_and_si128(raw, _mm_set1_epi8(15)); }
struct Scaled {  // scale * (code + offset)
  Vec scale;
  __m128i offset;
  Scaled(Vec s, int8_t o) : scale(s), offset(_mm_set1_epi8(o)) {}
  void decode(Halves raw, Vec* w) const {
    const Halves codes = {_mm_add_epi8(low_nibbles(raw.first), offset), _mm_add_epi8(low_nibbles(raw.second), offset)};
    for (int p = 0; p < kParts; ++p) w[p] = mul(scale, to_float(part(codes, p)));
  }
};
struct Line {  // scale * code + intercept
  Vec scale, intercept;
  Line(Vec s, Vec i) : scale(s), intercept(i) {}
  void decode(Halves raw, Vec* w) const {
    const Halves codes = {low_nibbles(raw.first), low_nibbles(raw.second)};
    for (int p = 0; p < kParts; ++p) w[p] = add(mul(scale, to_float(part(codes, p))), intercept);
  }
};
using TableEntry = int8_t;  // of tables of integers
struct ScaledIntegers {  // scale * integers[code]
  Vec scale;
  __m128i integers;
  ScaledIntegers(Vec s, const TableEntry (&table)[16]) : scale(s), integers(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))) {}
  void decode(Halves raw, Vec* w) const {
    const Halves values = {_mm_shuffle_epi8(integers, low_nibbles(raw.first)), _mm_shuffle_epi8(integers, low_nibbles(raw.second))};
    for (int p = 0; p < kParts; ++p) w[p] = mul(scale, to_float(part(values, p)));
  }
};
