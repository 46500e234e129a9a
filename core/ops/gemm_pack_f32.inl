// Packing for units that multiply f32: included after transpose_block, which writes out[k][16] from 16 rows of kLanes
// contiguous k each. No standard library here, see gemm_kernels.h.

void pack_a(const GemmOperand& a, int64_t rows, int64_t k, float alpha, void* packed) {
  auto* out = static_cast<float*>(packed);
  if (a.k_stride == 1) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t p = 0; p < k; ++p) out[i * k + p] = a.data[i * a.row_stride + p] * alpha;
    return;
  }
  for (int64_t p = 0; p < k; ++p)
    for (int64_t i = 0; i < rows; ++i) out[i * k + p] = a.data[i * a.row_stride + p * a.k_stride] * alpha;
}

// One panel of `columns` <= 16 columns.
void pack_panel(const GemmOperand& b, int64_t columns, int64_t k, float* out) {
  int64_t p = 0;
  if (columns == kPanelColumns && b.row_stride == 1) {  // the columns lie side by side
    for (; p < k; ++p)
      for (int64_t j = 0; j < kPanelColumns; ++j) out[p * kPanelColumns + j] = b.data[p * b.k_stride + j];
  } else if (columns == kPanelColumns && b.k_stride == 1) {
    for (; p + kLanes <= k; p += kLanes) transpose_block(b.data + p, b.row_stride, out + p * kPanelColumns);
  }
  for (; p < k; ++p)
    for (int64_t j = 0; j < kPanelColumns; ++j) out[p * kPanelColumns + j] = j < columns ? b.data[j * b.row_stride + p * b.k_stride] : 0.0f;
}

void pack_b(const GemmOperand& b, int64_t columns, int64_t k, void* packed) {
  auto* out = static_cast<float*>(packed);
  for (int64_t n = 0; n < columns; n += kPanelColumns, out += k * kPanelColumns) {
    const int64_t left = columns - n;
    pack_panel({b.data + n * b.row_stride, b.row_stride, b.k_stride}, left < kPanelColumns ? left : kPanelColumns, k, out);
  }
}
