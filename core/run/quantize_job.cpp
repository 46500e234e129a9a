// Bits, error and time of a weight format on a model's block linears; with `out` a checkpoint other tools load.
#include <cmath>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/system.h"
#include "core/export/exporter.h"
#include "core/export/four_bit_folder.h"
#include "core/io/model_files.h"
#include "core/run/jobs.h"

namespace lorikeet {
namespace {

class QuantizeJob : public Job {
 public:
  explicit QuantizeJob(QuantizeRequest request) : request_(std::move(request)) {}

  JobOutcome run(std::stop_token stop, const JobEvents& events) override {
    const auto& q = request_.quantization;
    const WeightFormat& format = *weight_formats().get(q.format);
    const QuantOptions options{q.double_quant, static_cast<int>(q.block_size)};
    if (!request_.out.empty() && q.format != "nf4" && q.format != "fp4")
      throw UnsupportedError("--out writes nf4 and fp4 checkpoints; " + q.format + " can be measured, not written");
    if (!request_.out.empty()) require_new_folder(request_.out);  // before the work, not after it
    const ModelFilesPtr files = open_model(resolve_model_path(request_.model));
    Context cx(static_cast<int>(request_.threads));
    const double began = monotonic_seconds();
    measure(*files, cx, format, options, stop, events);
    result_["seconds"] = monotonic_seconds() - began;
    if (!request_.out.empty()) write(*files, cx, q.format, options, stop, events);
    return JobOutcome::finished;
  }
  Json result() const override { return result_; }

 private:
  void measure(const ModelFiles& files, Context& cx, const WeightFormat& format, const QuantOptions& options, std::stop_token stop, const JobEvents& events) {
    const auto source = files.weights(cx, {});
    const auto shapes = linear_shapes(files.config());
    Json tensors = Json::array();
    double bits = 0, weights = 0, squared_error = 0, squared = 0;
    for (size_t i = 0; i < shapes.size(); ++i) {
      if (stop.stop_requested()) throw Interrupted("stopped while quantising");
      if (events.on_progress) events.on_progress({"quantising", static_cast<double>(i), static_cast<double>(shapes.size())});
      const auto& s = shapes[i];
      const std::string name = s.name.ends_with(".weight") ? s.name : s.name + ".weight";
      const FrozenWeightPtr stored = source->matrix(name, s.rows, s.columns, false);
      const Tensor original = decoded(cx, *stored);
      const FrozenWeightPtr coded = format.encode(cx, original.data<float>(), s.rows, s.columns, options);
      const double error = relative_error(cx, *coded, original.data<float>()), norm = squared_norm(original);
      const double n = static_cast<double>(s.rows * s.columns), tensor_bits = 8.0 * static_cast<double>(coded->bytes()) / n;
      tensors.push_back({{"name", name}, {"rows", s.rows}, {"columns", s.columns}, {"bits_per_weight", tensor_bits}, {"relative_error", error}});
      bits += tensor_bits * n;
      weights += n;
      squared_error += error * error * norm;
      squared += norm;
    }
    result_ = {{"format", std::string(format.name())}, {"bits_per_weight", weights > 0 ? bits / weights : 0},
               {"relative_error", squared > 0 ? std::sqrt(squared_error / squared) : 0}, {"tensors", tensors}};
  }
  static Tensor decoded(Context& cx, const FrozenWeight& w) {
    Tensor out = Tensor::empty({w.rows(), w.columns()});
    cx.pool().for_blocks(w.rows(), 64, [&](int64_t begin, int64_t end, int) { w.decode_rows(begin, end - begin, out.row<float>(begin), w.columns()); });
    return out;
  }
  static double squared_norm(const Tensor& t) {
    double sum = 0;
    for (int64_t i = 0; i < t.size(); ++i) sum += static_cast<double>(t.data<float>()[i]) * static_cast<double>(t.data<float>()[i]);
    return sum;
  }
  void write(const ModelFiles& files, Context& cx, const std::string& format, const QuantOptions& options, std::stop_token stop, const JobEvents& events) {
    const auto written = write_four_bit_folder(files, cx, format, options, request_.out, stop, [&](double done, double total) {
      if (events.on_progress) events.on_progress({"writing", done, total});
    });
    Json list = Json::array();
    for (const auto& f : written.files) list.push_back({{"path", f.path}, {"bytes", f.bytes}, {"sha256", f.sha256}});
    result_["files"] = list;
    result_["warnings"] = written.warnings;
  }

  QuantizeRequest request_;
  Json result_;
};

}  // namespace

std::unique_ptr<Job> make_quantize_job(QuantizeRequest request) { return std::make_unique<QuantizeJob>(std::move(request)); }

}  // namespace lorikeet
