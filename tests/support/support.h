/// What every test needs: fixture paths, a scratch folder, comparing tensors, and a main.
#pragma once
#include <QtTest/QtTest>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace lorikeet::test {

/// A file of tests/data.
std::string data_path(const std::string& name);
/// The real data sets handed to developers, or empty: tests on them are extra and skip with a reason.
/// Taken from LORIKEET_SHARED_DATA, else "<source>/../shared/data" when it exists.
std::string shared_data(const std::string& name);
/// The default model as a GGUF (stored references were made from it), or empty when it was not fetched (./studio model).
std::string default_model();

/// A folder removed at the end.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  std::string path(const std::string& name = {}) const;
  std::string write(const std::string& name, const std::string& content) const;

 private:
  std::string path_;
};

/// Deterministic values in [-1, 1) (f32, f64 or bf16) by seed.
Tensor random_tensor(Shape shape, uint64_t seed, DType dtype = DType::f32, double scale = 1);
/// ||a - b|| / ||b|| over all elements, in f64.
double relative_l2(const Tensor& a, const Tensor& b);
double max_abs_difference(const Tensor& a, const Tensor& b);

/// Runs a program, no shell: exit code, stdout, stderr.
struct ProgramResult { int code = -1; std::string out, err; };
ProgramResult run_program(const std::vector<std::string>& command, int timeout_ms = 120000, const std::string& folder = {});

}  // namespace lorikeet::test

/// QVERIFY that an expression throws an error of type E whose text contains `part`.
#define VERIFY_THROWS(expression, E, part)                                                              \
  do {                                                                                                  \
    std::string thrown_text_ = "(nothing thrown)";                                                      \
    bool right_ = false;                                                                                \
    try { (void)(expression); } catch (const E& e_) { thrown_text_ = e_.what(); right_ = true; }        \
    catch (const std::exception& e_) { thrown_text_ = std::string("another error: ") + e_.what(); }     \
    QVERIFY2(right_ && thrown_text_.find(part) != std::string::npos, thrown_text_.c_str());             \
  } while (false)

/// At the end of each test file: LORIKEET_TEST_MAIN(ClassName) then #include "<stem>_test.moc".
#define LORIKEET_TEST_MAIN(Class)                 \
  int main(int argc, char** argv) {               \
    QCoreApplication app(argc, argv);             \
    Class test;                                   \
    return QTest::qExec(&test, argc, argv);       \
  }
