// Packing for units that multiply f32: included after transpose_block(from, stride, out, out_stride), which writes kLanes
// rows of 16 from 16 rows of kLanes. No standard library here, see gemm_kernels.h.

// Rows that lie side by side, kLanes of them by 16 numbers k at a time. Returns the k up to which whole blocks are packed.
int64_t pack_crosswise(const GemmOperand& a, int64_t rows, int64_t k, float* out) {
  int64_t p = 0;
  for (; p + 16 <= k; p += 16)
    for (int64_t i = 0; i + kLanes <= rows; i += kLanes) transpose_block(a.data + i + p * a.k_stride, a.k_stride, out + i * k + p, k);
  return p;
}

void pack_a(const GemmOperand& a, int64_t rows, int64_t k, float alpha, void* packed) {
  auto* out = static_cast<float*>(packed);
  if (a.k_stride == 1) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t p = 0; p < k; ++p) out[i * k + p] = a.data[i * a.row_stride + p] * alpha;
    return;
  }
  const int64_t done = a.row_stride == 1 ? pack_crosswise(a, rows, k, out) : 0;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t p = i < rows / kLanes * kLanes ? done : 0; p < k; ++p) out[i * k + p] = a.data[i * a.row_stride + p * a.k_stride];
  if (alpha != 1.0f)
    for (int64_t i = 0; i < rows * k; ++i) out[i] *= alpha;
}

// One panel of `columns` <= 16 columns.
void pack_panel(const GemmOperand& b, int64_t columns, int64_t k, float* out) {
  int64_t p = 0;
  if (columns == kPanelColumns && b.row_stride == 1) {  // the columns lie side by side
    for (; p < k; ++p)
      for (int64_t j = 0; j < kPanelColumns; ++j) out[p * kPanelColumns + j] = b.data[p * b.k_stride + j];
  } else if (columns == kPanelColumns && b.k_stride == 1) {
    for (; p + kLanes <= k; p += kLanes) transpose_block(b.data + p, b.row_stride, out + p * kPanelColumns, kPanelColumns);
  }
  for (; p < k; ++p)
    for (int64_t j = 0; j < kPanelColumns; ++j) out[p * kPanelColumns + j] = j < columns ? b.data[j * b.row_stride + p * b.k_stride] : 0.0f;
}

void pack_b(const GemmOperand& b, int64_t columns, int64_t k, float alpha, void* packed, int64_t out_stride) {
  auto* out = static_cast<float*>(packed);
  for (int64_t n = 0; n < columns; n += kPanelColumns, out += out_stride * kPanelColumns) {
    const int64_t left = columns - n;
    pack_panel({b.data + n * b.row_stride, b.row_stride, b.k_stride}, left < kPanelColumns ? left : kPanelColumns, k, out);
    if (alpha != 1.0f)
      for (int64_t i = 0; i < k * kPanelColumns; ++i) out[i] *= alpha;
  }
}
