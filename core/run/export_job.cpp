// An export is done only when it was re-opened and gives the same logits as what it was made from; `verify` asks again
// later. The base is loaded first: what cannot be proven is not written.
#include <optional>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/export/exporter.h"
#include "core/io/adapter_files.h"
#include "core/run/detail/logit_proof.h"
#include "core/run/jobs.h"

namespace lorikeet {
namespace {

class ExportJob : public Job {
 public:
  explicit ExportJob(ExportRequest request) : request_(std::move(request)) {}
  Json result() const override { return result_; }

  JobOutcome run(std::stop_token stop, const JobEvents& events) override {
    const auto say = [&](const char* what, double done) {
      if (events.on_progress) events.on_progress({what, done, 4});
    };
    for (const char* later : {"merged", "gguf", "gguf-adapter", "ollama"})
      if (request_.to == later) throw UnsupportedError("--to " + request_.to + " is not part of this version; peft is");
    const Exporter exporter = exporters().get(request_.to);
    const std::string adapter = detail::adapter_place_of(request_.from);
    if (request_.out.empty()) throw UsageError("--out names the folder to write");
    require_new_folder(request_.out);
    detail::LoadRequest load;
    load.model = request_.model;
    load.adapter = request_.from;
    load.threads = request_.threads;
    std::optional<detail::LoadedModel> model;
    if (request_.verify) {
      say("loading the base with the adapter", 0);
      model = detail::load_for_use(load, stop);
    }
    say("writing", 1);
    ExportInput input{adapter, request_.type, request_.out, nullptr};
    if (is_gguf_file(adapter)) input.base = model ? model->files : detail::open_base(load);
    const auto files = exporter(input, stop);
    Json list = Json::array();
    for (const auto& f : files) list.push_back({{"path", f.path}, {"bytes", f.bytes}, {"sha256", f.sha256}});
    result_ = {{"to", request_.to}, {"out", request_.out}, {"files", list}, {"verify", nullptr}};
    if (!model) return JobOutcome::finished;
    say("comparing", 2);
    const auto before = detail::logits_on_probes(*model);
    attach_adapter(*model->model, read_adapter(request_.out), request_.out);
    say("comparing", 3);
    result_["verify"] = detail::compared_logits(before, detail::logits_on_probes(*model));
    return JobOutcome::finished;
  }

 private:
  ExportRequest request_;
  Json result_;
};

}  // namespace

std::unique_ptr<Job> make_export_job(ExportRequest request) { return std::make_unique<ExportJob>(std::move(request)); }

}  // namespace lorikeet
