/// OpClock: how long each op takes, for benchmarks. Installed for a thread by a scope; every op called from that thread
/// then adds its time. Without one an op pays a look at a pointer.
#pragma once
#include <cstdint>
#include <vector>

namespace lorikeet {

class OpClock {
 public:
  struct Entry {
    const char* op;      // as the op's slot is named
    int64_t calls = 0;
    double seconds = 0;  // its own: without the ops it called
  };
  /// In order of first use.
  const std::vector<Entry>& entries() const { return entries_; }
  /// All ops together.
  double seconds() const;
  void reset() { entries_.clear(); }

  /// Makes a clock the calling thread's for as long as it lives; scopes may be nested.
  class Installed {
   public:
    explicit Installed(OpClock& clock) : before_(current_) { current_ = &clock; }
    ~Installed() { current_ = before_; }
    Installed(const Installed&) = delete;
    Installed& operator=(const Installed&) = delete;

   private:
    OpClock* before_;
  };

  /// Times one call of an op. `op` must outlive the clock.
  class Timed {
   public:
    explicit Timed(const char* op) : clock_(current_) {
      if (clock_) begin(op);
    }
    ~Timed() {
      if (clock_) end();
    }
    Timed(const Timed&) = delete;
    Timed& operator=(const Timed&) = delete;

   private:
    void begin(const char* op);
    void end();
    OpClock* clock_;
    Timed* caller_ = nullptr;  // the op this one was called from
    const char* op_ = nullptr;
    double began_ = 0, inner_ = 0;
  };

 private:
  Entry& entry(const char* op);
  static constinit inline thread_local OpClock* current_ = nullptr;
  std::vector<Entry> entries_;
  Timed* running_ = nullptr;
};

}  // namespace lorikeet
