// The build without CUDA.
#include "app/backends.h"
#include "core/ops/cpu_kernels.h"

namespace lorikeet {

void register_backends() { register_cpu_kernels(); }

Json gpu_information() { return {{"gpus", Json::array()}, {"reason", "this program was built without the CUDA backend"}}; }

}  // namespace lorikeet
