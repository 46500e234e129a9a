// The kernels on rows of bf16 for any level: included by row_kernels.inl, after exp_of, sigmoid and the gates.

inline float f32_of(uint16_t b) {
  const uint32_t bits = static_cast<uint32_t>(b) << 16;
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}
inline uint16_t bf16_of(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const uint32_t quiet = (bits >> 16) | 0x40u;
  return static_cast<uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded);
}

void to_bf16(const float* x, uint16_t* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = bf16_of(x[i]);
}

void from_bf16(const uint16_t* x, float* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = f32_of(x[i]);
}

void scale_mul_bf16(const float* x, const float* w, float s, uint16_t* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = bf16_of(x[i] * s * w[i]);
}

template <class Gate>
void gate_mul_bf16(const uint16_t* g, const uint16_t* u, uint16_t* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float a = f32_of(g[i]);
    y[i] = bf16_of(a * sigmoid(Gate::inner(a)) * f32_of(u[i]));
  }
}

template <class Gate>
void gate_mul_backward_bf16(const uint16_t* dy, const uint16_t* g, const uint16_t* u, uint16_t* dg, uint16_t* du, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float d = f32_of(dy[i]), a = f32_of(g[i]), b = f32_of(u[i]), s = sigmoid(Gate::inner(a));
    dg[i] = bf16_of(d * b * s * (1.0f + a * (1.0f - s) * Gate::slope(a)));
    du[i] = bf16_of(d * a * s);
  }
}

ExpSums exp_sum_bf16(const float* x, float scale, float offset, uint16_t* p, int64_t n) {
  float s = 0, rounded = 0;
#pragma omp simd reduction(+ : s, rounded)
  for (int64_t i = 0; i < n; ++i) {
    const float e = exp_of(x[i] * scale - offset);
    p[i] = bf16_of(e);
    s += e;
    rounded += f32_of(p[i]);
  }
  return {s, rounded};
}

float dot_bf16(const uint16_t* x, const uint16_t* y, int64_t n) {
  float s = 0;
#pragma omp simd reduction(+ : s)
  for (int64_t i = 0; i < n; ++i) s += f32_of(x[i]) * f32_of(y[i]);
  return s;
}

void score_gradient(const float* x, const float* dp, float scale, const float* lse, const float* delta, int64_t step, uint16_t* p, uint16_t* ds, int64_t n) {
  if (step == 0) {
    const float l = *lse, d = *delta;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const float e = exp_of(x[i] * scale - l);
      p[i] = bf16_of(e);
      ds[i] = bf16_of(e * (dp[i] - d));
    }
    return;
  }
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float e = exp_of(x[i] * scale - lse[i]);
    p[i] = bf16_of(e);
    ds[i] = bf16_of(e * (dp[i] - delta[i]));
  }
}

void turn(const float* x, int64_t x_stride, int64_t rows, int64_t columns, float s, float* y, int64_t y_stride) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) y[c * y_stride + r] = x[r * x_stride + c] * s;
}
