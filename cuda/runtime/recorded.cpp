// Recorded steps by stream capture. Capture is relaxed, so that the arena may ask for memory meanwhile; nothing may be waited
// for. A graph is a few hundred bytes a kernel on the host and on the device.
#include "cuda/runtime/recorded.h"

#include <cuda_runtime_api.h>

#include <string>

#include "core/base/error.h"
#include "cuda/runtime/check.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/stream.h"

namespace lorikeet::cuda {
namespace {

thread_local bool recording = false;

cudaStream_t stream() { return static_cast<cudaStream_t>(job_stream()); }

/// What this thread gives to the device while one lives ends up in a graph.
class Capture {
 public:
  Capture() : instead_(own_) {
    LORIKEET_CUDA(cudaStreamBeginCapture(handle(), cudaStreamCaptureModeRelaxed));
    recording = true;
  }
  ~Capture() {
    recording = false;
    if (open_) cudaStreamEndCapture(handle(), &graph_);  // what failed meanwhile is reported by whoever failed
    if (graph_) cudaGraphDestroy(graph_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  cudaGraph_t end() {
    open_ = false;
    LORIKEET_CUDA(cudaStreamEndCapture(handle(), &graph_));
    return graph_;
  }

 private:
  cudaStream_t handle() const { return static_cast<cudaStream_t>(own_.handle()); }
  Stream own_;
  StreamInstead instead_;
  bool open_ = true;
  cudaGraph_t graph_ = nullptr;
};

class Graph final : public RecordedWork {
 public:
  /// Takes `run` over. Not while the stream of recorded work stands in for the job's.
  Graph(cudaGraphExec_t run, uint64_t bytes) : run_(run), bytes_(bytes) {}
  ~Graph() override {
    cudaStreamSynchronize(stream_);  // it may still run; what failed is reported by the next checked call
    cudaGraphExecDestroy(run_);
  }
  void run() override {
    step_memory_used_again(bytes_);
    LORIKEET_CUDA(cudaGraphLaunch(run_, stream_));
  }

 private:
  cudaStream_t stream_ = stream();
  cudaGraphExec_t run_;
  uint64_t bytes_;
  std::shared_ptr<void> memory_ = hold_step_memory();
};

}  // namespace

std::unique_ptr<RecordedWork> record(const std::function<void()>& work) {
  begin_recorded_memory();
  cudaGraphExec_t run = nullptr;
  try {
    Capture capture;
    work();
    LORIKEET_CUDA(cudaGraphInstantiate(&run, capture.end(), 0));
  } catch (const CudaError& e) {  // the device works on: it can be given the work kernel by kernel
    throw UnsupportedError(e.what());
  }
  return std::make_unique<Graph>(run, end_recorded_memory());
}

void not_while_recording(const char* what) {
  if (recording) throw UnsupportedError(std::string(what) + " cannot be part of a recorded step");
}

}  // namespace lorikeet::cuda
