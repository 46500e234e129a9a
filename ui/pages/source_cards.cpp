#include "ui/pages/source_cards.h"

#include <QFileDialog>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QMenu>
#include <algorithm>

#include "core/base/text.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {

SourceBox::SourceBox(QWidget* parent) : QFrame(parent) {
  setObjectName(QStringLiteral("inset"));
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(units(3), units(2), units(3), units(2));
  row->setSpacing(units(3));
  auto* words = new QVBoxLayout;
  words->setSpacing(units(0.5));
  name_ = new ElidedLabel;
  name_->setProperty("role", "strong");
  text_ = make_label({}, "small");
  text_->setWordWrap(true);
  words->addWidget(name_);
  words->addWidget(text_);
  row->addLayout(words, 1);
  badge_ = make_badge({});
  badge_->hide();
  row->addWidget(badge_, 0, Qt::AlignVCenter);
}

void SourceBox::show_(const QString& name, const QString& path, const QString& text) {
  name_->setFullText(name);
  name_->setToolTip(path);
  text_->setText(text);
}

void SourceBox::setBadge(const QString& text, const char* tone) {
  badge_->setText(text);
  set_style_property(badge_, "tone", tone);
  badge_->setVisible(!text.isEmpty());
}

QPushButton* SourceBox::addButton(const QString& text) {
  QPushButton* button = make_button(text);
  layout()->addWidget(button);
  layout()->setAlignment(button, Qt::AlignVCenter);
  return button;
}

ModelBox::ModelBox(SetupViewModel& vm, QWidget* parent) : SourceBox(parent), vm_(vm) {
  QPushButton* change = addButton(tr("Change…"));
  change->setAccessibleName(tr("Change the model"));
  auto* menu = new QMenu(change);
  menu->addAction(tr("A GGUF or safetensors file…"), this, [this] { choose(false); });
  menu->addAction(tr("A model folder…"), this, [this] { choose(true); });
  menu->addSeparator();
  menu->addAction(tr("The default model"), this, [this] { vm_.edit("model.path", ""); });
  change->setMenu(menu);
  connect(&vm_, &SetupViewModel::planChanged, this, &ModelBox::refresh);
  connect(&vm_, &SetupViewModel::configReplaced, this, &ModelBox::refresh);
  connect(&vm_, &SetupViewModel::fieldChanged, this, &ModelBox::refresh);
  refresh();
}

void ModelBox::choose(bool folder) {
  const QString now = QString::fromStdString(vm_.config().model.path);
  const QString path = folder ? QFileDialog::getExistingDirectory(this, tr("Choose a model folder"), now)
                              : QFileDialog::getOpenFileName(this, tr("Choose a model file"), now, tr("Models (*.gguf *.safetensors);;All files (*)"));
  if (!path.isEmpty()) vm_.edit("model.path", path.toStdString());
}

void ModelBox::refresh() {
  const QString path = QString::fromStdString(vm_.config().model.path);
  QString name = QFileInfo(path).isDir() ? QFileInfo(path).fileName() : QFileInfo(path).completeBaseName();
  if (path.isEmpty()) name = tr("The default model");
  QString text = tr("Reading the model's header…");
  if (vm_.plan() && !vm_.plan()->model_text.empty()) {
    text = QString::fromStdString(vm_.plan()->model_text);
  } else if (vm_.plan() && !vm_.isCounting()) {
    text = tr("Could not be read; see the findings at the right.");
  }
  show_(name, path, text);
  if (!vm_.plan() || vm_.plan()->bytes.total == 0) return setBadge({}, "");
  const auto words = [](uint64_t n) { return QString::fromStdString(human_bytes(n)); };
  vm_.plan()->fits ? setBadge(tr("fits: %1 of %2").arg(words(vm_.plan()->bytes.total), words(vm_.plan()->available_bytes)), "")
                   : setBadge(tr("needs %1 of %2").arg(words(vm_.plan()->bytes.total), words(vm_.plan()->available_bytes)), "error");
}

DataBox::DataBox(SetupViewModel& vm, QWidget* parent) : SourceBox(parent), vm_(vm) {
  QPushButton* change = addButton(tr("Change…"));
  change->setAccessibleName(tr("Change the training data"));
  auto* menu = new QMenu(change);
  menu->addAction(tr("Choose training files…"), this, [this] { choose("data.train", false); });
  menu->addAction(tr("Add training files…"), this, [this] { choose("data.train", true); });
  menu->addAction(tr("Choose validation files…"), this, [this] { choose("data.validation", false); });
  menu->addSeparator();
  menu->addAction(tr("The sample set"), this, [this] { vm_.edit("data.train", Json::array()); });
  change->setMenu(menu);
  QPushButton* look = addButton(tr("Look inside"));
  connect(look, &QPushButton::clicked, this, &DataBox::lookInside);
  connect(&vm_, &SetupViewModel::planChanged, this, &DataBox::refresh);
  connect(&vm_, &SetupViewModel::configReplaced, this, &DataBox::refresh);
  connect(&vm_, &SetupViewModel::fieldChanged, this, &DataBox::refresh);
  refresh();
}

void DataBox::choose(const char* key, bool add) {
  const QStringList paths = QFileDialog::getOpenFileNames(this, tr("Choose data files"), {},
                                                          tr("Data (*.jsonl *.json *.csv *.tsv *.txt *.md);;All files (*)"));
  if (paths.isEmpty()) return;
  Json list = add ? vm_.value(key) : Json::array();
  for (const QString& path : paths) list.push_back(path.toStdString());
  vm_.edit(key, list);
}

void DataBox::refresh() {
  QStringList names, paths;
  for (const std::string& path : vm_.config().data.train) {
    paths << QString::fromStdString(path);
    names << QFileInfo(paths.back()).fileName();
  }
  QString text = tr("Counting samples and tokens…");
  int notes = 0;
  const char* tone = "warning";
  if (vm_.plan()) {
    if (!vm_.plan()->data_text.empty()) text = QString::fromStdString(vm_.plan()->data_text);
    else if (!vm_.isCounting()) text = tr("Could not be read; see the findings at the right.");
    for (const Finding& f : vm_.plan()->findings) {
      if (f.key.rfind("data.", 0) != 0) continue;
      ++notes;
      if (f.severity == "error") tone = "error";
    }
  }
  show_(names.isEmpty() ? tr("The sample set") : names.join(QStringLiteral(", ")), paths.join('\n'), text);
  setBadge(notes == 0 ? QString() : notes == 1 ? tr("1 note") : tr("%1 notes").arg(notes), tone);
}

}  // namespace lorikeet::ui
