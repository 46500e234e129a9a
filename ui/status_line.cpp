#include "ui/status_line.h"

#include <QPushButton>

#include "core/base/system.h"
#include "core/base/text.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {
namespace {
constexpr int kMemoryMs = 2000;
}

StatusLine::StatusLine(Studio& studio, QWidget* parent) : QStatusBar(parent), studio_(studio) {
  setSizeGripEnabled(false);
  setContentsMargins(units(3), 0, units(3), 0);
  device_ = new FigureLabel({}, "small");
  memory_ = new FigureLabel({}, "small");
  job_ = make_button({}, "disclosure");
  job_->setToolTip(tr("Show it in Monitor"));
  for (QWidget* w : std::initializer_list<QWidget*>{device_, memory_, job_}) {
    addWidget(w);
    w->setContentsMargins(0, 0, units(4), 0);
  }
  addPermanentWidget(make_label(tr("Ctrl K for all commands"), "small"));
  connect(job_, &QPushButton::clicked, this, &StatusLine::jobClicked);
  connect(&studio_.home, &HomeViewModel::deviceChanged, this, [this] {
    device_->setText(studio_.home.deviceShort());
    device_->updateGeometry();
  });
  connect(&studio_.session, &Session::stateChanged, this, &StatusLine::refreshJob);
  connect(&studio_.session, &Session::stepsArrived, this, &StatusLine::refreshJob);
  connect(&studio_.session, &Session::progressChanged, this, &StatusLine::refreshJob);
  timer_.setInterval(kMemoryMs);
  connect(&timer_, &QTimer::timeout, this, &StatusLine::askMemory);
  timer_.start();
  askMemory();
  refreshJob();
}

void StatusLine::askMemory() {
  struct Memory { uint64_t total, available; };
  studio_.queries().ask(this, QStringLiteral("memory"), [](std::stop_token) { return Memory{total_memory_bytes(), available_memory_bytes()}; },
                        [this](Memory m) {
                          const uint64_t used = m.total > m.available ? m.total - m.available : 0;
                          memory_->setText(tr("memory %1 of %2").arg(QString::fromStdString(human_bytes(used)), QString::fromStdString(human_bytes(m.total))));
                          memory_->updateGeometry();
                        });
}

void StatusLine::refreshJob() {
  const Session& s = studio_.session;
  QString text = tr("no run active");
  if (s.isActive()) {
    const StepReport& step = s.lastStep();
    text = s.name() + QStringLiteral("  ");
    if (step.total_steps > 0) text += tr("%1 %").arg(100 * step.step / step.total_steps) + QStringLiteral(" · ");
    else if (!s.progress().what.empty()) text += QString::fromStdString(s.progress().what) + QStringLiteral(" · ");
    text += s.state() == SessionState::running && step.seconds_left > 0 ? tr("%1 left").arg(QString::fromStdString(human_seconds(step.seconds_left)))
                                                                         : session_state_text(s.state()).toLower();
  } else if (s.state() != SessionState::idle) {
    text = tr("%1: %2").arg(s.name(), session_state_text(s.state()).toLower());
  }
  job_->setText(text);
  job_->setAccessibleName(text);
}

}  // namespace lorikeet::ui
