#include "ui/viewmodels/home_view_model.h"

#include "core/base/text.h"
#include "core/run/queries.h"

namespace lorikeet::ui {

HomeViewModel::HomeViewModel(QueryRunner& queries, QObject* parent) : QObject(parent), queries_(queries) {}

void HomeViewModel::refresh() {
  queries_.ask(this, QStringLiteral("runs"), [](std::stop_token) { return list_runs_json({}); },
               [this](const Json& runs) {
                 runs_.setRuns(runs);
                 loaded_ = true;
                 emit runsChanged();
               },
               [this](const ErrorText& e) { emit problem(tr("The runs could not be listed."), e); });
  if (!device_lines_.empty()) return;
  queries_.ask(this, QStringLiteral("device"), [query = device_query_](std::stop_token) { return query ? query() : device_information(); },
               [this](const Json& info) { takeDevice(info); },
               [this](const ErrorText& e) { emit problem(tr("The machine could not be examined."), e); });
}

const RunRow* HomeViewModel::interrupted() const {
  for (const RunRow& run : runs_.rows())
    if (run.can_continue && was_cut_off(run)) return &run;
  return nullptr;
}

void HomeViewModel::takeDevice(const Json& info) {
  const auto text = [](const Json& v) { return QString::fromStdString(v.is_string() ? v.get<std::string>() : dump_json(v)); };
  device_lines_.clear();
  device_short_.clear();
  if (const auto cpu = info.find("cpu"); cpu != info.end() && cpu->is_object()) {
    const QString level = cpu->contains("level") ? text((*cpu)["level"]) : QString();
    device_short_ = level.isEmpty() ? tr("CPU") : tr("CPU · %1").arg(level);
    if (cpu->contains("name")) device_lines_.push_back({tr("Processor"), text((*cpu)["name"])});
    if (!level.isEmpty()) device_lines_.push_back({tr("CPU level"), level});
    if (cpu->contains("threads")) device_lines_.push_back({tr("Threads"), text((*cpu)["threads"])});
    if (const auto bytes = cpu->find("bytes"); bytes != cpu->end() && bytes->is_number())
      device_lines_.push_back({tr("Memory"), QString::fromStdString(human_bytes(bytes->get<uint64_t>()))});
  }
  const auto gpus = info.find("gpus");
  const bool any = gpus != info.end() && gpus->is_array() && !gpus->empty();
  if (!any) device_lines_.push_back({tr("GPU"), tr("none")});
  else
    for (const Json& gpu : *gpus) {
      const bool named = gpu.is_object() && gpu.contains("name"), sized = named && gpu.contains("bytes") && gpu["bytes"].is_number();
      const QString name = named ? text(gpu["name"]) : text(gpu);
      device_lines_.push_back({tr("GPU"), sized ? tr("%1 · %2").arg(name, QString::fromStdString(human_bytes(gpu["bytes"].get<uint64_t>()))) : name});
      if (named && gpu.value("usable", false) && !device_short_.startsWith(tr("GPU"))) device_short_ = tr("GPU · %1").arg(name);
    }
  if (const auto refused = info.find("refused"); refused != info.end() && refused->is_array())
    for (const Json& one : *refused) {
      const QString why = text(one);
      device_lines_.push_back({{}, tr("Not used: %1.").arg(why)});
    }
  emit deviceChanged();
}

}  // namespace lorikeet::ui
