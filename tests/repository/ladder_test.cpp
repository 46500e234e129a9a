// The written ladder holds: every #include of the sources is read and compared with what its folder may use.
#include <algorithm>
#include <map>
#include <set>

#include "core/base/files.h"
#include "core/base/text.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

const std::vector<std::string> kLadder = {"base",    "tensor", "ops",  "quant", "autograd", "nn",    "models", "config",
                                          "methods", "text",   "data", "io",    "optim",    "train", "export", "run"};

size_t rung(const std::string& folder) {
  const auto at = std::find(kLadder.begin(), kLadder.end(), folder);
  return static_cast<size_t>(at - kLadder.begin());
}

struct Source {
  std::string path;  // from the repository's root
  std::vector<std::string> quoted, angled;
  size_t lines = 0;
};

std::vector<Source> sources() {
  std::vector<Source> all;
  const fs::path root = LORIKEET_SOURCE_DIR;
  for (const char* top : {"app", "core", "cuda", "ui", "tests"})
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      const std::string extension = entry.path().extension();
      if (!std::set<std::string>{".h", ".cpp", ".cu", ".cuh", ".inl"}.contains(extension)) continue;
      Source s;
      s.path = fs::relative(entry.path(), root).string();
      for (const auto& line : split(read_file(entry.path()), '\n')) {
        ++s.lines;
        const auto text = trim(line);
        if (!text.starts_with("#include")) continue;
        const size_t open = text.find_first_of("\"<"), close = text.find_last_of("\">");
        if (open == std::string_view::npos || close <= open) continue;
        (text[open] == '"' ? s.quoted : s.angled).emplace_back(text.substr(open + 1, close - open - 1));
      }
      all.push_back(std::move(s));
    }
  return all;
}

// Empty when `from` may include `what`, else why not.
std::string verdict(const std::string& from, const std::string& what) {
  const auto f = split(from, '/'), w = split(what, '/');
  if (f[0] == "app" || f[0] == "tests") return {};
  if (w[0] == "app" || w[0] == "tests" || w[0] == "cuda") return f[0] == w[0] ? "" : w[0] + "/ may be used by app/ and tests/ only";
  if (w[0] == "ui") return f[0] == "ui" ? "" : "only app/ and tests/ use ui/";
  if (w[0] != "core") return "includes start at the repository's root";
  const std::string& used = w[1];
  if (rung(used) == kLadder.size()) return "core/" + used + " is not on the ladder";
  if (f[0] == "ui" && what.starts_with("core/run/detail/")) return "core/run/detail is not for ui/";
  if (f[0] == "ui") return used == "base" || used == "config" || used == "run" ? "" : "ui/ uses core base, config and run";
  if (f[0] == "cuda") return rung(used) <= rung("quant") ? "" : "cuda/ uses core base, tensor, ops and quant";
  if (rung(used) > rung(f[1])) return "core/" + used + " stands above core/" + f[1];
  // core/run/detail is for the jobs themselves: the ui sees the headers above it only.
  if (f[1] == "run" && from.ends_with(".h") && !from.starts_with("core/run/detail/") && used != "base" && used != "config" && used != "run") return "headers of run/ use only base and config";
  return {};
}

}  // namespace

class LadderTest : public QObject {
  Q_OBJECT
 private slots:
  void everyIncludeGoesDownTheLadder() {
    const auto all = sources();
    QVERIFY(all.size() > 100);
    for (const auto& s : all)
      for (const auto& include : s.quoted) {
        if (include.ends_with(".moc") || (include.starts_with("moc_") || include.starts_with("ui_"))) continue;
        const std::string why = verdict(s.path, include);
        if (!why.empty()) QFAIL((s.path + " includes \"" + include + "\": " + why).c_str());
      }
  }
  void theVerdictItselfRefuses() {
    QVERIFY(!verdict("core/ops/a.cpp", "core/quant/b.h").empty());
    QVERIFY(!verdict("core/base/a.cpp", "cuda/backend.h").empty());
    QVERIFY(!verdict("ui/pages/a.cpp", "core/io/b.h").empty());
    QVERIFY(!verdict("core/run/jobs.h", "core/io/b.h").empty());
    QVERIFY(!verdict("cuda/ops/a.cu", "core/nn/b.h").empty());
    QVERIFY(verdict("core/run/a.cpp", "core/io/b.h").empty());
    QVERIFY(verdict("ui/pages/a.cpp", "core/run/jobs.h").empty());
  }
  void theCoreKnowsNoQtAndNoCuda() {
    for (const auto& s : sources()) {
      if (!s.path.starts_with("core/")) continue;
      for (const auto& include : s.angled)
        if (include.starts_with("Q") || include.starts_with("cuda") || include.starts_with("cublas"))
          QFAIL((s.path + " includes <" + include + ">").c_str());
    }
  }
  void filesStayReadable() {
    for (const auto& s : sources())
      if (s.lines > 500) QFAIL((s.path + " has " + std::to_string(s.lines) + " lines; split it by name (at most 500)").c_str());
  }
};

LORIKEET_TEST_MAIN(LadderTest)
#include "ladder_test.moc"
