/// The one log sink. Core code calls log_*; the front ends decide where lines go (stderr, log.txt, the window).
#pragma once
#include <functional>
#include <string>
#include <string_view>

namespace lorikeet {

enum class LogLevel { debug, info, warning, error };
struct LogLine {
  LogLevel level = LogLevel::info;
  std::string text;
  std::string time;  // local time, ISO 8601 with seconds
};
using LogSink = std::function<void(const LogLine&)>;
/// Adds a sink for as long as the returned token lives (RAII). Sinks are called under one lock, from any thread.
class LogSubscription {
 public:
  explicit LogSubscription(LogSink sink);
  ~LogSubscription();
  LogSubscription(const LogSubscription&) = delete;
  LogSubscription& operator=(const LogSubscription&) = delete;

 private:
  int id_;
};
void log_line(LogLevel level, std::string_view text);
inline void log_info(std::string_view text) { log_line(LogLevel::info, text); }
inline void log_warning(std::string_view text) { log_line(LogLevel::warning, text); }
inline void log_error(std::string_view text) { log_line(LogLevel::error, text); }

}  // namespace lorikeet
