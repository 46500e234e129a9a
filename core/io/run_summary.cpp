// Tables of runs: read-only looks at run folders, written so that a damaged or half-made folder never stops a listing.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/io/run_folder.h"

namespace lorikeet {
namespace {

constexpr size_t kSparkPoints = 64;
constexpr uint64_t kMaxMetricsBytes = 1u << 30;

const Json* member(const Json& j, std::initializer_list<const char*> path) {
  const Json* at = &j;
  for (const char* key : path) {
    if (!at->is_object() || !at->contains(key)) return nullptr;
    at = &(*at)[key];
  }
  return at;
}
std::string text_at(const Json& j, std::initializer_list<const char*> path) {
  const Json* v = member(j, path);
  return v && v->is_string() ? v->get<std::string>() : std::string();
}
double number_at(const Json& j, std::initializer_list<const char*> path, double missing) {
  const Json* v = member(j, path);
  return v && v->is_number() ? v->get<double>() : missing;
}

std::string file_names(const Json* paths) {
  std::vector<std::string> names;
  if (paths && paths->is_string()) names.push_back(fs::path(paths->get<std::string>()).filename().string());
  if (paths && paths->is_array())
    for (const auto& p : *paths)
      if (p.is_string()) names.push_back(fs::path(p.get<std::string>()).filename().string());
  return join(names, ", ");
}

std::string model_name(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return fs::path(path).filename().string();
}

/// Bytes [from, end of file); empty when the file is not there.
std::string tail_of(const std::string& path, uint64_t from) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  struct stat info{};
  std::string out;
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && static_cast<uint64_t>(info.st_size) > from) {
    out.resize(static_cast<size_t>(std::min<uint64_t>(static_cast<uint64_t>(info.st_size) - from, kMaxMetricsBytes)));
    size_t have = 0;
    while (have < out.size()) {
      const ssize_t n = ::pread(fd, out.data() + have, out.size() - have, static_cast<off_t>(from + have));
      if (n <= 0) break;
      have += static_cast<size_t>(n);
    }
    out.resize(have);
  }
  ::close(fd);
  return out;
}

/// At most kSparkPoints values: a running mean over about a tenth of the run, picked at even distances.
std::vector<float> spark_of(const std::vector<double>& losses) {
  std::vector<float> out;
  if (losses.empty()) return out;
  const double keep = 1 - 1 / std::max(1.0, static_cast<double>(losses.size()) / 10);
  std::vector<double> smooth(losses.size());
  double mean = losses.front();
  for (size_t i = 0; i < losses.size(); ++i) smooth[i] = mean = keep * mean + (1 - keep) * losses[i];
  const size_t points = std::min(kSparkPoints, losses.size());
  for (size_t i = 0; i < points; ++i)
    out.push_back(static_cast<float>(smooth[points == 1 ? 0 : i * (losses.size() - 1) / (points - 1)]));
  return out;
}

void read_history(RunSummary& s) {
  uint64_t from = 0;
  std::vector<double> losses;
  for (const Json& line : read_metrics(s.path, from)) {
    if (const Json* loss = member(line, {"loss"})) {
      s.step = std::max(s.step, static_cast<int64_t>(number_at(line, {"step"}, 0)));
      s.final_loss = loss->is_number() ? loss->get<double>() : std::numeric_limits<double>::quiet_NaN();
      if (loss->is_number()) losses.push_back(s.final_loss);
    } else if (const double e = number_at(line, {"eval_loss"}, std::numeric_limits<double>::quiet_NaN());
               std::isfinite(e) && !(s.best_eval_loss <= e)) {
      s.best_eval_loss = e;
    }
  }
  s.spark = spark_of(losses);
}

}  // namespace

std::vector<Json> read_metrics(const std::string& run, uint64_t& from) {
  const std::string path = run + "/metrics.jsonl", text = tail_of(path, from);
  std::vector<Json> out;
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    try {
      Json line = parse_json(std::string_view(text).substr(begin, end - begin), path);
      if (line.is_object()) out.push_back(std::move(line));
    } catch (const InputError&) {  // a line torn by a full disk: the lines around it still count
    }
  }
  from += begin;
  return out;
}

std::optional<RunSummary> summarise_run(const std::string& path) {
  if (!RunFolder::is_run_folder(path)) return std::nullopt;
  RunSummary s;
  s.path = path;
  s.final_loss = s.best_eval_loss = std::numeric_limits<double>::quiet_NaN();
  try {
    const Json j = read_json_file(path + "/run.json", 16u << 20);
    s.name = text_at(j, {"name"});
    s.state = text_at(j, {"state"});
    s.version = text_at(j, {"version"});
    s.device = text_at(j, {"device", "name"});
    s.model = model_name(text_at(j, {"config", "model", "path"}));
    s.data = file_names(member(j, {"config", "data", "train"}));
    s.started = number_at(j, {"started"}, 0);
    s.ended = number_at(j, {"ended"}, 0);
    s.total_steps = static_cast<int64_t>(number_at(j, {"total_steps"}, 0));
  } catch (const Error&) {
    s.state = "failed";  // run.json cannot be read: shown, so that nobody wonders where the run went
  }
  if (s.name.empty()) s.name = model_name(path);
  read_history(s);
  s.running = FolderLock::is_held(path);
  if (s.state == "running" && !s.running) s.state = "interrupted";
  const bool stopped = s.state == "interrupted" || s.state == "cancelled" || s.state == "failed";
  s.can_continue = stopped && !s.running && !RunFolder::checkpoint_steps(path).empty();
  return s;
}

std::vector<RunSummary> list_runs(const std::string& folder) {
  std::vector<RunSummary> out;
  if (auto one = summarise_run(folder)) return {*one};
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code inner;
    if (!it->is_directory(inner)) continue;
    if (auto run = summarise_run(it->path().string())) out.push_back(std::move(*run));
  }
  std::sort(out.begin(), out.end(), [](const RunSummary& a, const RunSummary& b) {
    return a.started != b.started ? a.started > b.started : a.path < b.path;
  });
  return out;
}

}  // namespace lorikeet
