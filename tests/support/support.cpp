#include "tests/support/support.h"

#include <cmath>
#include <cstdlib>
#include <stdexcept>

#include <QProcess>
#include <QTemporaryDir>

#include "core/base/files.h"
#include "core/base/random.h"

namespace lorikeet::test {

std::string data_path(const std::string& name) {
  const char* elsewhere = std::getenv("LORIKEET_TEST_DATA_FOLDER");  // a test that runs on another machine than it was built on
  return std::string(elsewhere ? elsewhere : LORIKEET_TEST_DATA) + "/" + name;
}

std::string shared_data(const std::string& name) {
  const char* set = std::getenv("LORIKEET_SHARED_DATA");
  const std::string root = set ? set : std::string(LORIKEET_SOURCE_DIR) + "/../shared/data";
  const std::string path = root + "/" + name;
  return fs::exists(path) ? path : std::string();
}

std::string default_model() {
  const fs::path folder = fs::path(user_cache_folder()) / "models" / "SmolLM2-135M-Instruct";
  if (!fs::is_directory(folder)) return {};
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".gguf") return entry.path().string();
  return {};
}

ScratchFolder::ScratchFolder() {
  QTemporaryDir folder(QDir::tempPath() + "/lorikeet-test-XXXXXX");
  if (!folder.isValid()) throw std::runtime_error("no scratch folder");
  folder.setAutoRemove(false);
  path_ = folder.path().toStdString();
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string ScratchFolder::path(const std::string& name) const { return name.empty() ? path_ : path_ + "/" + name; }

std::string ScratchFolder::write(const std::string& name, const std::string& content) const {
  fs::create_directories(fs::path(path(name)).parent_path());
  write_file_atomic(path(name), content);
  return path(name);
}

Tensor random_tensor(Shape shape, uint64_t seed, DType dtype, double scale) {
  if (is_half_row(dtype)) return random_tensor(std::move(shape), seed, DType::f32, scale).to(dtype);
  Tensor t = Tensor::empty(std::move(shape), dtype);
  RandomStream random(seed, 1);
  for (int64_t i = 0; i < t.size(); ++i) {
    const double v = scale * random.uniform(-1, 1);
    if (dtype == DType::f64) t.data<double>()[i] = v;
    else t.data<float>()[i] = static_cast<float>(v);
  }
  return t;
}

namespace {
double element(const Tensor& t, int64_t row, int64_t column) {
  if (is_half_row(t.dtype())) {
    const uint16_t bits = t.bits16()[row * t.row_stride() + column];
    return static_cast<double>(t.dtype() == DType::f16 ? f32_from_f16(bits) : f32_from_bf16(bits));
  }
  return t.dtype() == DType::f64 ? t.row<double>(row)[column] : static_cast<double>(t.row<float>(row)[column]);
}
}  // namespace

double relative_l2(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) throw std::runtime_error("relative_l2: shapes " + to_string(a.shape()) + " and " + to_string(b.shape()));
  double difference = 0, norm = 0;
  for (int64_t r = 0; r < a.rows(); ++r)
    for (int64_t c = 0; c < a.width(); ++c) {
      const double x = element(a, r, c), y = element(b, r, c);
      difference += (x - y) * (x - y);
      norm += y * y;
    }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

double max_abs_difference(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) throw std::runtime_error("max_abs_difference: shapes " + to_string(a.shape()) + " and " + to_string(b.shape()));
  double worst = 0;
  for (int64_t r = 0; r < a.rows(); ++r)
    for (int64_t c = 0; c < a.width(); ++c) {
      const double d = std::abs(element(a, r, c) - element(b, r, c));
      if (!(d <= worst)) worst = d;  // a NaN stays
    }
  return worst;
}

ProgramResult run_program(const std::vector<std::string>& command, int timeout_ms, const std::string& folder) {
  QProcess process;
  QStringList arguments;
  for (size_t i = 1; i < command.size(); ++i) arguments << QString::fromStdString(command[i]);
  if (!folder.empty()) process.setWorkingDirectory(QString::fromStdString(folder));
  process.start(QString::fromStdString(command[0]), arguments);
  ProgramResult result;
  if (!process.waitForFinished(timeout_ms)) {
    process.kill();
    process.waitForFinished();
    result.err = "timed out or not started; ";
    result.code = -2;
  } else {
    result.code = process.exitStatus() == QProcess::CrashExit ? -1 : process.exitCode();
  }
  result.out = process.readAllStandardOutput().toStdString();
  result.err += process.readAllStandardError().toStdString();
  return result;
}

}  // namespace lorikeet::test
