// Products of packed blocks by 16 x 16 tiles: four sums, two tiles of a, two of b. Included after <cstdint>,
// gemm_kernels.h and a class Tiles with
//   configure(), release()                      palette 1, eight tiles of 16 rows x 64 bytes
//   zero<t>(), load<t>(p, bytes), store<t>(p, bytes)  bytes between rows
//   dot<c, a, b>()                              c += a b, a: 16 rows of 32 bf16, b: 16 pairs of 16 columns
//   prefetch(p)                                 a tile of b, read soon
// The tiles are faster than the L2 cache: rows of a stay in the L1 cache while strips of b pass (the depth of a block is
// chosen so), and the next strip is asked for while the first rows meet this one.
// gemm_kernels_amx.cpp gives the instructions, the test a plain model of them: the same walk is checked without the unit.
// No standard library here, see gemm_kernels.h.

constexpr int64_t kTile = 16;

/// Sums in tiles 0..3 (row * 2 + column), a in 4 and 5, b in 6 and 7.
template <class Tiles, int Rows, int Columns>
struct TileBlock {
  const GemmBlock& g;
  int64_t m, n;

  float* c(int i, int j) const { return g.c + (m + i * kTile) * g.c_stride + n + j * kTile; }
  bool whole(int i, int j) const { return m + (i + 1) * kTile <= g.m && n + (j + 1) * kTile <= g.n; }

  template <int I, int J>
  void begin() const {
    constexpr int t = I * 2 + J;
    if (g.accumulate && whole(I, J)) Tiles::template load<t>(c(I, J), g.c_stride * 4);
    else Tiles::template zero<t>();
  }
  template <int I, int J>
  void end() const {
    constexpr int t = I * 2 + J;
    if (whole(I, J)) return Tiles::template store<t>(c(I, J), g.c_stride * 4);
    alignas(64) float buffer[kTile * kTile];
    Tiles::template store<t>(buffer, kTile * 4);
    float* to = c(I, J);
    for (int64_t i = 0; i < kTile && m + I * kTile + i < g.m; ++i)
      for (int64_t j = 0; j < kTile && n + J * kTile + j < g.n; ++j)
        to[i * g.c_stride + j] = buffer[i * kTile + j] + (g.accumulate ? to[i * g.c_stride + j] : 0.0f);
  }
  void ask_for_next_strip(const int32_t* b, int64_t p) const {
    if (n + 2 * kTile < g.n) Tiles::prefetch(b + (2 * g.b_stride + p) * kTile);
    if (n + 3 * kTile < g.n) Tiles::prefetch(b + (3 * g.b_stride + p) * kTile);
  }
  void run() const {
    const auto* a = static_cast<const int32_t*>(g.a) + m * g.a_stride;
    const auto* b = static_cast<const int32_t*>(g.b) + n * g.b_stride;
    begin<0, 0>();
    if constexpr (Columns > 1) begin<0, 1>();
    if constexpr (Rows > 1) begin<1, 0>();
    if constexpr (Rows > 1 && Columns > 1) begin<1, 1>();
    for (int64_t p = 0; p < g.depth; p += kTile) {
      Tiles::template load<4>(a + p, g.a_stride * 4);
      Tiles::template load<6>(b + p * kTile, 64);
      if (m == 0) ask_for_next_strip(b, p);
      Tiles::template dot<0, 4, 6>();
      if constexpr (Columns > 1) {
        Tiles::template load<7>(b + (g.b_stride + p) * kTile, 64);
        Tiles::template dot<1, 4, 7>();
      }
      if constexpr (Rows > 1) {
        Tiles::template load<5>(a + kTile * g.a_stride + p, g.a_stride * 4);
        Tiles::template dot<2, 5, 6>();
      }
      if constexpr (Rows > 1 && Columns > 1) Tiles::template dot<3, 5, 7>();
    }
    end<0, 0>();
    if constexpr (Columns > 1) end<0, 1>();
    if constexpr (Rows > 1) end<1, 0>();
    if constexpr (Rows > 1 && Columns > 1) end<1, 1>();
  }
};

template <class Tiles, int Columns>
void column_strip(const GemmBlock& g, int64_t n) {
  int64_t m = 0;
  for (; m + kTile < g.m; m += 2 * kTile) TileBlock<Tiles, 2, Columns>{g, m, n}.run();
  if (m < g.m) TileBlock<Tiles, 1, Columns>{g, m, n}.run();
}

/// Reads rows of a up to the next multiple of 16, whatever stands there; depth is a multiple of 16.
template <class Tiles>
void multiply_by_tiles(const GemmBlock& g) {
  Tiles::configure();
  int64_t n = 0;
  for (; n + kTile < g.n; n += 2 * kTile) column_strip<Tiles, 2>(g, n);
  if (n < g.n) column_strip<Tiles, 1>(g, n);
  Tiles::release();
}
