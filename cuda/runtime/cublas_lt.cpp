// Matrix products by cuBLASLt. Its matrices are stored by columns: a matrix stored by rows with a stride is, to it, the
// transpose with that leading dimension, so c = a b is asked for as c^T = b^T a^T.
//
// The first product of a shape chooses its algorithm: the first the library proposes, or for large ones the fastest of up
// to eight, timed once for shapes of about that size (batches differ in their tokens) and kept in a file
// (matmul_choices.h). It stays, so a shape has the same bits in every run on a card. Sums are f32: no TF32, and parts of a
// sum that are made apart are added in f32, never in the type of the result.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cuda/runtime/check.h"
#include "cuda/runtime/cublas_library.h"
#include "cuda/runtime/matmul.h"
#include "cuda/runtime/matmul_choices.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/per_card.h"
#include "cuda/runtime/stream.h"

namespace lorikeet::cuda {
namespace {

constexpr int kMostProposals = 8, kRounds = 3;
constexpr double kSmallProduct = 1 << 24;  // multiplications: below it the first proposal is taken
constexpr size_t kMostPlans = 20000;       // then they are made anew
constexpr size_t kMostAlign = 16;          // more than this no algorithm asks for; tensors that lie otherwise share a plan
constexpr size_t kWideWorkspace = size_t{32} << 20, kWorkspace = size_t{4} << 20;

cudaStream_t stream() { return static_cast<cudaStream_t>(job_stream()); }

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  if (const cudaError_t code = cudaGetLastError(); code != cudaSuccess) throw_cuda_error(code, call, __FILE__, __LINE__);
  throw CudaError(cudaErrorUnknown, fmt::format("{}: {}", call, cublas_lt().status_name(status)));
}
#define LORIKEET_CUBLAS(call) check((call), #call)

/// An object of the library, given back at the end.
template <class T>
using Owned = std::unique_ptr<std::remove_pointer_t<T>, cublasStatus_t (*)(T)>;

size_t alignment_of(const void* p) {
  const auto address = reinterpret_cast<uintptr_t>(p);
  return address == 0 ? kMostAlign : std::min(kMostAlign, size_t{1} << std::countr_zero(address));
}

cudaDataType_t data_type(DType t) { return t == DType::bf16 ? CUDA_R_16BF : t == DType::f16 ? CUDA_R_16F : CUDA_R_32F; }

/// All that the choice of an algorithm may depend on.
using Key = std::array<int64_t, 14>;
Key key_of(const MatmulArgs& a) {
  const auto n = [](auto v) { return static_cast<int64_t>(v); };
  return {a.m, a.n, a.k, a.a_stride, n(a.a_turned), a.b_stride, n(a.b_turned), n(a.type), a.c_stride, n(a.c_type), n(a.accumulate),
          n(alignment_of(a.a)), n(alignment_of(a.b)), n(alignment_of(a.c))};
}
/// Up to the next number of three binary digits and zeros behind them: what is timed once.
int64_t about(int64_t n) {
  const int64_t unit = int64_t{1} << std::max(0, static_cast<int>(std::bit_width(static_cast<uint64_t>(n))) - 3);
  return (n + unit - 1) / unit * unit;
}
MatmulArgs about(MatmulArgs a) {
  a.m = about(a.m);
  a.n = about(a.n);
  a.k = about(a.k);
  return a;
}
std::string shape_text(const MatmulArgs& a) {
  return fmt::format("{}x{}x{} a{}{} b{}{} {} c{} {}{} {} {} {}", a.m, a.n, a.k, a.a_stride, a.a_turned ? "t" : "", a.b_stride, a.b_turned ? "t" : "", dtype_name(a.type),
                     a.c_stride, dtype_name(a.c_type), a.accumulate ? " +=" : "", alignment_of(a.a), alignment_of(a.b), alignment_of(a.c));
}

/// A name for an algorithm, by its bits (FNV-1a), see matmul_choices.h.
uint64_t name_of(const cublasLtMatmulAlgo_t& algorithm) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const uint64_t word : algorithm.data)
    for (int byte = 0; byte < 8; ++byte) hash = (hash ^ (word >> 8 * byte & 0xff)) * 0x100000001b3u;
  return hash;
}

class Event {
 public:
  Event() { LORIKEET_CUDA(cudaEventCreate(&handle_)); }
  ~Event() { cudaEventDestroy(handle_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record() { LORIKEET_CUDA(cudaEventRecord(handle_, stream())); }
  float since_ms(const Event& begin) const {
    float ms = 0;
    LORIKEET_CUDA(cudaEventSynchronize(handle_));
    LORIKEET_CUDA(cudaEventElapsedTime(&ms, begin.handle_, handle_));
    return ms;
  }

 private:
  cudaEvent_t handle_ = nullptr;
};

/// A product's shape as the library describes it. First and second are its operands: our b and a.
struct Plan {
  Owned<cublasLtMatmulDesc_t> product;
  Owned<cublasLtMatrixLayout_t> first, second, result;
  cublasLtMatmulAlgo_t algorithm{};
};

Owned<cublasLtMatrixLayout_t> layout(DType type, int64_t rows, int64_t columns, int64_t stride) {
  cublasLtMatrixLayout_t l = nullptr;
  if (columns == 1) stride = std::max(stride, rows);  // of a single row the stride may be anything
  LORIKEET_CUBLAS(cublas_lt().layout_create(&l, data_type(type), static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), stride));
  return {l, cublas_lt().layout_destroy};
}

Owned<cublasLtMatmulDesc_t> description(const MatmulArgs& a) {
  cublasLtMatmulDesc_t d = nullptr;
  LORIKEET_CUBLAS(cublas_lt().desc_create(&d, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  Owned<cublasLtMatmulDesc_t> owned(d, cublas_lt().desc_destroy);
  const cublasOperation_t first = a.b_turned ? CUBLAS_OP_T : CUBLAS_OP_N, second = a.a_turned ? CUBLAS_OP_T : CUBLAS_OP_N;
  LORIKEET_CUBLAS(cublas_lt().desc_set(d, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first));
  LORIKEET_CUBLAS(cublas_lt().desc_set(d, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second));
  return owned;
}

Plan description_of(const MatmulArgs& a) {
  // [k, n] stored by rows is, by columns, [n, k]; turned it is stored as [n, k], so [k, n]. Likewise a.
  return {description(a), a.b_turned ? layout(a.type, a.k, a.n, a.b_stride) : layout(a.type, a.n, a.k, a.b_stride),
          a.a_turned ? layout(a.type, a.m, a.k, a.a_stride) : layout(a.type, a.k, a.m, a.a_stride), layout(a.c_type, a.n, a.m, a.c_stride)};
}

bool being_captured() {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  LORIKEET_CUDA(cudaStreamIsCapturing(stream(), &status));
  return status != cudaStreamCaptureStatusNone;
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  LORIKEET_CUDA(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

/// "NVIDIA H200 9.0"
std::string device_text(int device) {
  cudaDeviceProp p;
  LORIKEET_CUDA(cudaGetDeviceProperties(&p, device));
  return fmt::format("{} {}.{}", p.name, p.major, p.minor);
}

class Products {
 public:
  static Products& instance() { return per_card<Products>([] { return new Products; }); }
  void run(const MatmulArgs& a) {
    const std::lock_guard lock(mutex_);
    check(start(plan_of(a), a, a.c, nullptr), "cublasLtMatmul");
  }

 private:
  using Proposals = std::vector<cublasLtMatmulAlgo_t>;

  Products()
      : lt_(cublas_lt()), workspace_bytes_(attribute(cudaDevAttrComputeCapabilityMajor, current_card()) >= 9 ? kWideWorkspace : kWorkspace),
        choices_(matmul_choices_path(device_text(current_card())), std::to_string(lt_.version)) {
    LORIKEET_CUBLAS(lt_.create(&handle_));
    workspace_ = memory_functions().allocate(workspace_bytes_);
  }

  /// `algorithm`: null for the plan's own.
  cublasStatus_t start(const Plan& p, const MatmulArgs& a, void* c, const cublasLtMatmulAlgo_t* algorithm) const {
    const float beta = a.accumulate ? 1.0f : 0.0f;
    return lt_.matmul(handle_, p.product.get(), &a.alpha, a.b, p.first.get(), a.a, p.second.get(), &beta, c, p.result.get(), c, p.result.get(),
                      algorithm ? algorithm : &p.algorithm, workspace_.get(), workspace_bytes_, stream());
  }

  const Plan& plan_of(const MatmulArgs& a) {
    const Key key = key_of(a);
    if (const auto at = plans_.find(key); at != plans_.end()) return at->second;
    Plan plan = description_of(a);
    plan.algorithm = choose(plan, a);
    if (plans_.size() >= kMostPlans) plans_.clear();
    return plans_.emplace(key, std::move(plan)).first->second;
  }

  cublasLtMatmulAlgo_t choose(const Plan& p, const MatmulArgs& a) {
    const Proposals proposals = propose(p, a);
    if (proposals.empty())
      throw UnsupportedError(fmt::format("matmul: cuBLASLt {}.{} has no algorithm for {} on this GPU", lt_.version / 10000, lt_.version / 100 % 100, shape_text(a)));
    const bool large = static_cast<double>(a.m) * static_cast<double>(a.n) * static_cast<double>(a.k) > kSmallProduct;
    if (proposals.size() == 1 || !large) return proposals.front();
    const std::string shape = shape_text(about(a));
    if (const auto kept = choices_.find(shape)) {
      const auto at = std::find_if(proposals.begin(), proposals.end(), [&](const cublasLtMatmulAlgo_t& q) { return name_of(q) == *kept; });
      return at != proposals.end() ? *at : proposals.front();  // never timed again: that would depend on what ran before
    }
    if (being_captured()) return proposals.front();  // nothing may be waited for now
    const cublasLtMatmulAlgo_t fastest = fastest_of(proposals, p, a);
    choices_.keep(shape, name_of(fastest));
    return fastest;
  }

  Proposals propose(const Plan& p, const MatmulArgs& a) const {
    cublasLtMatmulPreference_t preference = nullptr;
    LORIKEET_CUBLAS(lt_.preference_create(&preference));
    const Owned<cublasLtMatmulPreference_t> owned(preference, lt_.preference_destroy);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t which, auto value) { LORIKEET_CUBLAS(lt_.preference_set(preference, which, &value, sizeof value)); };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{workspace_bytes_});
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<uint32_t>(alignment_of(a.b)));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<uint32_t>(alignment_of(a.a)));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<uint32_t>(alignment_of(a.c)));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<uint32_t>(alignment_of(a.c)));
    std::array<cublasLtMatmulHeuristicResult_t, kMostProposals> found{};
    int count = 0;
    const cublasStatus_t status =
        lt_.heuristics(handle_, p.product.get(), p.first.get(), p.second.get(), p.result.get(), p.result.get(), preference, kMostProposals, found.data(), &count);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED) return {};
    check(status, "cublasLtMatmulAlgoGetHeuristic");
    Proposals all;
    for (int i = 0; i < count; ++i)
      if (const auto& f = found[static_cast<size_t>(i)]; f.state == CUBLAS_STATUS_SUCCESS && f.workspaceSize <= workspace_bytes_) all.push_back(f.algo);
    return all;
  }

  /// Times each where the result will be, or, where it is added to what is there, in memory of its own.
  cublasLtMatmulAlgo_t fastest_of(const Proposals& proposals, const Plan& p, const MatmulArgs& a) const {
    std::shared_ptr<void> apart;
    if (a.accumulate) try {
        apart = memory_functions().allocate(static_cast<size_t>((a.m - 1) * a.c_stride + a.n) * dtype_bytes(a.c_type));
      } catch (const OutOfMemoryError&) {
        return proposals.front();
      }
    void* out = apart ? apart.get() : a.c;
    const cublasLtMatmulAlgo_t* best = &proposals.front();
    float least = HUGE_VALF;
    for (const cublasLtMatmulAlgo_t& q : proposals)
      if (const float ms = time_ms(q, p, a, out); ms < least) {
        least = ms;
        best = &q;
      }
    return *best;
  }
  float time_ms(const cublasLtMatmulAlgo_t& q, const Plan& p, const MatmulArgs& a, void* out) const {
    Event begin, end;
    for (int round = -1; round < kRounds; ++round) {  // the first is not timed
      if (round == 0) begin.record();
      if (start(p, a, out, &q) != CUBLAS_STATUS_SUCCESS) return HUGE_VALF;
    }
    end.record();
    return end.since_ms(begin);
  }

  std::mutex mutex_;
  const CublasLt& lt_;
  cublasLtHandle_t handle_ = nullptr;
  size_t workspace_bytes_;
  std::shared_ptr<void> workspace_;
  MatmulChoices choices_;
  std::map<Key, Plan> plans_;
};

void clear(const MatmulArgs& a) {
  const size_t bytes = dtype_bytes(a.c_type);
  LORIKEET_CUDA(cudaMemset2DAsync(a.c, static_cast<size_t>(std::max(a.c_stride, a.n)) * bytes, 0, static_cast<size_t>(a.n) * bytes, static_cast<size_t>(a.m), stream()));
}

}  // namespace

void matmul(const MatmulArgs& a) {
  const bool known = is_half_row(a.type) || a.type == DType::f32;
  if (!known || (a.c_type != DType::f32 && a.c_type != a.type))
    throw UnsupportedError(fmt::format("matmul: {} to {} on cuda; wanted bf16, f16 or f32 to f32, or to the same type", dtype_name(a.type), dtype_name(a.c_type)));
  if (a.m == 0 || a.n == 0) return;
  if (a.k == 0) {
    if (!a.accumulate) clear(a);
    return;
  }
  Products::instance().run(a);
}

}  // namespace lorikeet::cuda
