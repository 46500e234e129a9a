/// What tests of the window need: an application without a display, a job that does what the test says.
#pragma once
#include <QApplication>
#include <QtTest/QtTest>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "core/run/jobs.h"

namespace lorikeet::ui::test {

/// A job made of a function.
class FakeJob : public Job {
 public:
  using Body = std::function<JobOutcome(std::stop_token, const JobEvents&, PauseGate&)>;
  explicit FakeJob(Body body) : body_(std::move(body)) {}
  JobOutcome run(std::stop_token stop, const JobEvents& events) override { return body_(stop, events, pause); }
  Json result() const override { return {{"steps", 3}}; }

 private:
  Body body_;
};

inline StepReport step_report(int64_t step, int64_t total) {
  StepReport s;
  s.step = step, s.total_steps = total;
  s.loss = 2.0 / (1 + 0.01 * double(step));
  s.learning_rate = 2e-4;
  s.grad_norm = 0.5;
  s.tokens = step * 100;
  s.tokens_per_s = 3000;
  s.time = 1.0e9 + double(step);
  s.host_bytes = 430'000'000;
  return s;
}

}  // namespace lorikeet::ui::test

/// Like LORIKEET_TEST_MAIN, with widgets and with settings kept out of the user's own.
#define LORIKEET_UI_TEST_MAIN(Class)                                             \
  int main(int argc, char** argv) {                                              \
    qputenv("XDG_CONFIG_HOME", QDir::tempPath().toUtf8() + "/lorikeet-ui-test"); \
    qputenv("XDG_DATA_HOME", QDir::tempPath().toUtf8() + "/lorikeet-ui-test");   \
    QApplication app(argc, argv);                                                \
    QCoreApplication::setOrganizationName("LorikeetTest");                       \
    QSettings::setDefaultFormat(QSettings::IniFormat);                           \
    Class test;                                                                  \
    return QTest::qExec(&test, argc, argv);                                      \
  }
