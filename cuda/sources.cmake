# The kernel files: compiled by nvcc for the card (cuda/CMakeLists.txt) and as C++ for the emulation (cuda/emulation).
set(LORIKEET_CUDA_KERNELS
  backend.cu
  ops/rms_norm.cu)
