// The register tile of gemm for any unit: included by gemm_kernels_<unit>.cpp inside its unnamed namespace after
//   Vec, kLanes     a vector of f32 sums; kLanes divides kPanelColumns
//   Step, StepVec   a step of a packed operand (float, or a 32-bit pair of bf16) and kLanes of them
//   kTileRows       rows of the tile
//   zero, load, store, add (Vec), load_steps, broadcast (StepVec), multiply_add(sum, StepVec, StepVec)
// No standard library here, see gemm_kernels.h.

// Rows x Vecs sums stay in registers over the whole depth and are added to what is there at the end, so that a sum over
// many blocks of k rounds little; every step reads Vecs vectors of b and one step of each row.
template <int Rows, int Vecs>
inline __attribute__((always_inline)) void register_tile(const Step* a, int64_t a_stride, int64_t depth, const Step* const (&b)[Vecs], float* const (&c)[Vecs], int64_t c_stride, bool accumulate) {
  Vec sum[Rows][Vecs];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < Vecs; ++j) sum[i][j] = zero();
  for (int64_t p = 0; p < depth; ++p) {
    StepVec bv[Vecs];
#pragma GCC unroll 4
    for (int j = 0; j < Vecs; ++j) bv[j] = load_steps(b[j] + p * kPanelColumns);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const StepVec s = broadcast(a[i * a_stride + p]);
#pragma GCC unroll 4
      for (int j = 0; j < Vecs; ++j) sum[i][j] = multiply_add(sum[i][j], s, bv[j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < Vecs; ++j) store(c[j] + i * c_stride, accumulate ? add(load(c[j] + i * c_stride), sum[i][j]) : sum[i][j]);
}

// `Vecs` vectors of columns that start at column n (a multiple of kLanes) of the block.
template <int Rows, int Vecs>
void tile_at(const GemmBlock& block, int64_t m, int64_t n, float* c, int64_t c_stride, bool accumulate) {
  const Step* b[Vecs];
  float* to[Vecs];
  for (int j = 0; j < Vecs; ++j) {
    const int64_t column = n + j * kLanes, panel = column / kPanelColumns;
    b[j] = static_cast<const Step*>(block.b) + panel * kPanelColumns * block.b_stride + column % kPanelColumns;
    to[j] = c + j * kLanes;
  }
  register_tile<Rows, Vecs>(static_cast<const Step*>(block.a) + m * block.a_stride, block.a_stride, block.depth, b, to, c_stride, accumulate);
}

// The last columns, fewer than a vector: computed whole into a buffer, of which the valid part is kept.
template <int Rows>
void last_columns(const GemmBlock& block, int64_t m, int64_t n) {
  float buffer[Rows * kLanes];
  tile_at<Rows, 1>(block, m, n, buffer, kLanes, false);
  for (int i = 0; i < Rows; ++i) {
    float* c = block.c + (m + i) * block.c_stride;
    for (int64_t j = n; j < block.n; ++j) c[j] = buffer[i * kLanes + j - n] + (block.accumulate ? c[j] : 0.0f);
  }
}

template <int Rows>
void row_strip(const GemmBlock& block, int64_t m) {
  float* c = block.c + m * block.c_stride;
  int64_t n = 0;
  for (; n + 2 * kLanes <= block.n; n += 2 * kLanes) tile_at<Rows, 2>(block, m, n, c + n, block.c_stride, block.accumulate);
  for (; n + kLanes <= block.n; n += kLanes) tile_at<Rows, 1>(block, m, n, c + n, block.c_stride, block.accumulate);
  if (n < block.n) last_columns<Rows>(block, m, n);
}

// Strips of any number of rows up to a tile; returns the row behind it.
template <int Rows>
int64_t strip_of(int64_t rows, const GemmBlock& block, int64_t m) {
  if (rows == Rows) row_strip<Rows>(block, m);
  else if constexpr (Rows > 1) strip_of<Rows - 1>(rows, block, m);
  return m + rows;
}

// Rows are shared out evenly: 16 rows as 8 + 8 run faster than as 14 + 2.
void multiply(const GemmBlock& block) {
  const int64_t strips = (block.m + kTileRows - 1) / kTileRows;
  for (int64_t s = 0, m = 0; s < strips; ++s) m = strip_of<kTileRows>((block.m - m + strips - s - 1) / (strips - s), block, m);
}
