// The vectors of AVX-512 (F, BW, DQ, VL) and what the decoders and dot kernels do with them. Included by
// decode_avx512.cpp and dot_avx512.cpp inside their unnamed namespaces, after <immintrin.h>. vector_avx2.inl is its twin:
// same names.
// A segment is 32 elements: kParts vectors of kLanes, or 32 codes of one byte each in a __m256i.

using Vec = __m512;
using Int = __m512i;
constexpr int kLanes = 16, kParts = 2, kSegment = 32;

inline int word_at(const uint8_t* p) {
  int word;
  __builtin_memcpy(&word, p, 4);
  return word;
}
inline float half_at(const uint8_t* p) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(p[0] | (p[1] << 8)))); }
inline Vec zero() { return _mm512_setzero_ps(); }
inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
inline Vec broadcast(float v) { return _mm512_set1_ps(v); }
inline Vec first_lane(__m128 v) { return _mm512_broadcastss_ps(v); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
inline Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline float total(Vec v) { return _mm512_reduce_add_ps(v); }
inline Int bytes(const uint8_t* p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
inline Int signed_bytes(const uint8_t* p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
inline Int shifted(Int q, int bits) { return _mm512_srli_epi32(q, bits); }
inline Int high_nibble(Int q) { return _mm512_srli_epi32(q, 4); }
inline Vec to_float(Int v) { return _mm512_cvtepi32_ps(v); }
inline Vec halves(const uint8_t* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
inline Vec bfloats(const uint8_t* p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
}

// Part p of 32 signed bytes, which lie in one register or, where they were made 16 at a time, in two.
struct Halves { __m128i first, second; };
inline Int part(Halves codes, int p) { return _mm512_cvtepi8_epi32(p == 0 ? codes.first : codes.second); }
inline Int part(__m256i codes, int p) { return part(Halves{_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1)}, p); }

// 16 bytes of nibbles as 32 bytes: low ones first; what stands above a nibble is left there.
struct LowThenHigh { Int both; };
inline LowThenHigh low_then_high(const uint8_t* p) { return {bytes(p)}; }
inline Int part(LowThenHigh codes, int p) { return p == 0 ? codes.both : high_nibble(codes.both); }

// 16 bytes of nibbles, low ones first; `what` is added where bit e of `where` is set.
inline void nibbles_and_bits(const uint8_t* p, uint32_t where, int8_t what, Int* out) {
  const Int both = bytes(p), low = _mm512_and_si512(both, _mm512_set1_epi32(15)), high = _mm512_srli_epi32(both, 4), added = _mm512_set1_epi32(what);
  out[0] = _mm512_mask_add_epi32(low, static_cast<__mmask16>(where), low, added);
  out[1] = _mm512_mask_add_epi32(high, static_cast<__mmask16>(where >> 16), high, added);
}

// 32 codes of 2 or 3 bits, each in the low bits of a lane; the bits above are not cleared.
inline void codes_of_2_bits(const uint8_t* p, Int* out) {
  const Int shifts = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  for (int i = 0; i < kParts; ++i) out[i] = _mm512_srlv_epi32(_mm512_set1_epi32(word_at(p + 4 * i)), shifts);
}
inline void codes_of_3_bits(const uint8_t* p, Int* out) {
  const Int shifts = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 0, 3, 6, 9, 12, 15, 18, 21);
  const Int last_shifts = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 8, 11, 14, 17, 20, 23, 26, 29);  // ends with byte 12
  const auto words = [p](int low, int high) { return _mm512_mask_set1_epi32(_mm512_set1_epi32(word_at(p + low)), 0xFF00, word_at(p + high)); };
  out[0] = _mm512_srlv_epi32(words(0, 3), shifts);
  out[1] = _mm512_srlv_epi32(words(6, 8), last_shifts);
}
// A table of 4 or 8 values, repeated so that the bits above a code do not matter to lookup().
inline Vec table_of_4(const float* table) { return _mm512_broadcast_f32x4(_mm_loadu_ps(table)); }
inline Vec table_of_8(const float* table) { return _mm512_broadcast_f32x8(_mm256_loadu_ps(table)); }
inline Vec lookup(Vec table, Int codes) { return _mm512_permutexvar_ps(codes, table); }

// 4-bit code -> value by one lookup: the 16 values fill a register, and the lookup reads the low 4 bits only.
struct Table {
  Vec values;
  Vec of(Int codes) const { return _mm512_permutexvar_ps(codes, values); }
  template <class Bytes>
  void decode(Bytes raw, Vec* w) const {  // what the low nibbles of 32 bytes stand for
    for (int p = 0; p < kParts; ++p) w[p] = of(part(raw, p));
  }
};

// Codes whose even elements stand in the high nibbles, looked up in a table of 16 values.
struct NibbleTable {
  static constexpr int kBits = 4;
  Vec values;
  explicit NibbleTable(const float* table) : values(load(table)) {}
  void decode(const uint8_t* p, float scale, Vec* w) const {
    const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), even = _mm_srli_epi16(both, 4);
    Table{mul(values, broadcast(scale))}.decode(Halves{_mm_unpacklo_epi8(even, both), _mm_unpackhi_epi8(even, both)}, w);
  }
  // In the order of load_unpaired(): even elements, then odd ones.
  void decode_unpaired(const uint8_t* p, float scale, Vec* w) const {
    const Table scaled{mul(values, broadcast(scale))};
    const Int both = bytes(p);
    w[0] = scaled.of(high_nibble(both));
    w[1] = scaled.of(both);
  }
  static void load_unpaired(const float* x, Vec* out) {
    const Int even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30), odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    const Vec a = load(x), b = load(x + kLanes);
    out[0] = _mm512_permutex2var_ps(a, even, b);
    out[1] = _mm512_permutex2var_ps(a, odd, b);
  }
};

// What the low nibble of a byte stands for, as in vector_avx2.inl.
inline Vec sixteen() { return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
struct Scaled : Table {  // scale * (code + offset)
  Scaled(Vec scale, int8_t offset) : Table{mul(scale, add(sixteen(), broadcast(offset)))} {}
};
struct Line : Table {  // scale * code + intercept
  Line(Vec scale, Vec intercept) : Table{add(mul(scale, sixteen()), intercept)} {}
};
using TableEntry = float;  // of tables of integers
struct ScaledIntegers : Table {  // scale * integers[code]
  ScaledIntegers(Vec scale, const TableEntry (&integers)[16]) : Table{mul(load(integers), scale)} {}
};
