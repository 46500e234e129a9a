#include "core/base/log.h"

#include <map>
#include <mutex>

#include "core/base/system.h"

namespace lorikeet {
namespace {

struct Sinks {
  std::mutex mutex;
  std::map<int, LogSink> all;
  int next = 1;
};
Sinks& sinks() {
  static Sinks s;
  return s;
}

}  // namespace

LogSubscription::LogSubscription(LogSink sink) {
  std::lock_guard lock(sinks().mutex);
  id_ = sinks().next++;
  sinks().all.emplace(id_, std::move(sink));
}

LogSubscription::~LogSubscription() {
  std::lock_guard lock(sinks().mutex);
  sinks().all.erase(id_);
}

void log_line(LogLevel level, std::string_view text) {
  const LogLine line{level, std::string(text), iso_time(wall_seconds())};
  std::lock_guard lock(sinks().mutex);
  for (const auto& [id, sink] : sinks().all) sink(line);
}

}  // namespace lorikeet
