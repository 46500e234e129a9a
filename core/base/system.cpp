#include "core/base/system.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <fstream>
#include <optional>

#include <fmt/format.h>

#include "core/base/text.h"

namespace lorikeet {
namespace {

// A line "Key:   123 kB" of a /proc file, in bytes.
std::optional<uint64_t> proc_value(const char* file, std::string_view key) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    if (!std::string_view(line).starts_with(key)) continue;
    std::string_view rest = trim(std::string_view(line).substr(key.size()));
    rest = rest.substr(0, rest.find(' '));
    if (const auto kb = parse_int(rest)) return static_cast<uint64_t>(*kb) * 1024;
  }
  return std::nullopt;
}

std::optional<uint64_t> number_in(const char* file) {
  std::ifstream in(file);
  std::string word;
  if (!(in >> word)) return std::nullopt;
  const auto v = parse_int(word);
  if (!v || *v < 0) return std::nullopt;
  return static_cast<uint64_t>(*v);
}

std::string formatted(double wall, const char* format) {
  const auto t = static_cast<time_t>(wall);
  tm local{};
  localtime_r(&t, &local);
  std::array<char, 64> text{};
  std::strftime(text.data(), text.size(), format, &local);
  return text.data();
}

}  // namespace

uint64_t total_memory_bytes() {
  const uint64_t total = proc_value("/proc/meminfo", "MemTotal:").value_or(0);
  const auto limit = number_in("/sys/fs/cgroup/memory.max");
  return limit ? std::min(*limit, total) : total;
}

uint64_t available_memory_bytes() {
  uint64_t available = proc_value("/proc/meminfo", "MemAvailable:").value_or(0);
  const auto limit = number_in("/sys/fs/cgroup/memory.max");
  const auto used = number_in("/sys/fs/cgroup/memory.current");
  if (limit && used) available = std::min(available, *limit > *used ? *limit - *used : 0);
  return available;
}

uint64_t resident_bytes() { return proc_value("/proc/self/status", "VmRSS:").value_or(0); }
uint64_t peak_resident_bytes() { return proc_value("/proc/self/status", "VmHWM:").value_or(0); }
void reset_peak_resident() { std::ofstream("/proc/self/clear_refs") << "5"; }

double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}
std::string iso_time(double wall) { return formatted(wall, "%Y-%m-%dT%H:%M:%S"); }
std::string file_time(double wall) { return formatted(wall, "%Y%m%d-%H%M%S"); }

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

}  // namespace lorikeet
