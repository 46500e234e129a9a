# The kernel files: compiled by nvcc for the card (cuda/CMakeLists.txt) and as C++ for the emulation (cuda/emulation).
set(LORIKEET_CUDA_KERNELS
  backend.cu
  ops/adamw8bit_update.cu
  ops/adamw_update.cu
  ops/adapted_linear.cu
  ops/adapted_linear_backward.cu
  ops/attention.cu
  ops/attention_backward.cu
  ops/attention_backward_mma.cu
  ops/attention_mma.cu
  ops/attention_step.cu
  ops/decode.cu
  ops/decode_coded.cu
  ops/decode_stored.cu
  ops/elementwise.cu
  ops/embedding.cu
  ops/few_rows.cu
  ops/linear_cross_entropy.cu
  ops/linear_parts.cu
  ops/rms_norm.cu
  ops/rope.cu
  ops/square_sum.cu
  ops/swiglu.cu)
# What the backend and the emulation share besides.
set(LORIKEET_CUDA_SHARED
  runtime/device_weight.cpp
  runtime/range_allocator.cpp)
