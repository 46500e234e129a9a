// Decoding loops, the same text for AVX2 and AVX-512. Included by decode_<level>.cpp inside its unnamed namespace after
// vector_<level>.inl and block_formats.inl.

inline void store_segment(float* out, const Vec* w) {
  for (int i = 0; i < kParts; ++i) store(out + i * kLanes, w[i]);
}

void decode_f32(const uint8_t* p, int64_t count, float* out) { __builtin_memcpy(out, p, static_cast<uint64_t>(count) * 4); }

// 16-bit values of any count.
template <Vec (*values)(const uint8_t*)>
void decode_plain16(const uint8_t* p, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(out + i, values(p + 2 * i));
  if (i == count) return;
  uint8_t last[2 * kLanes] = {};
  float decoded[kLanes];
  __builtin_memcpy(last, p + 2 * i, static_cast<uint64_t>(count - i) * 2);
  store(decoded, values(last));
  __builtin_memcpy(out + i, decoded, static_cast<uint64_t>(count - i) * 4);
}

template <class Block>
void decode_blocks(const uint8_t* p, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, p += Block::kBytes) {
    Block block;
    block.open(p);
#pragma GCC unroll 8
    for (int k = 0; k < Block::kSegments; ++k, out += kSegment) {
      Vec w[kParts];
      block.decode(k, w);
      store_segment(out, w);
    }
  }
}

// Fewer than 32 elements: by way of a whole segment beside them.
template <class Codes>
void decode_rest(const Codes& table, float scale, const uint8_t* codes, int64_t count, float* out) {
  uint8_t last[kSegment] = {};
  float decoded[kSegment];
  Vec w[kParts];
  __builtin_memcpy(last, codes, static_cast<uint64_t>(count * Codes::kBits + 7) / 8);
  table.decode(last, scale, w);
  store_segment(decoded, w);
  __builtin_memcpy(out, decoded, static_cast<uint64_t>(count) * 4);
}

template <class Codes>
void decode_codes(const CodeRun& r) {
  const int64_t blocks = r.blocks, block = r.block;
  const uint8_t* codes = r.codes;
  float* out = r.out;
  const Codes table(r.table);
  for (int64_t b = 0; b < blocks; ++b, codes += block * Codes::kBits / 8, out += block) {
    const float scale = r.scales[b];
    int64_t i = 0;
    for (; i + kSegment <= block; i += kSegment) {
      Vec w[kParts];
      table.decode(codes + i * Codes::kBits / 8, scale, w);
      store_segment(out + i, w);
    }
    if (i < block) decode_rest(table, scale, codes + i * Codes::kBits / 8, block - i, out + i);
  }
}

constexpr DecodeKernels decode_list() {
  DecodeKernels k{decode_codes<SmallTable<2>>, decode_codes<SmallTable<3>>, decode_codes<NibbleTable>, decode_codes<SignedBytes>, {}};
  k.stored[0] = decode_f32;
  k.stored[1] = decode_plain16<halves>;
  k.stored[30] = decode_plain16<bfloats>;
#define LORIKEET_DECODE_BLOCKS(id, Block) k.stored[id] = decode_blocks<Block>;
  LORIKEET_BLOCK_FORMATS(LORIKEET_DECODE_BLOCKS)
#undef LORIKEET_DECODE_BLOCKS
  return k;
}
