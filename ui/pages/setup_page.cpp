#include "ui/pages/setup_page.h"

#include <QLineEdit>
#include <QMenu>
#include <QPushButton>
#include <QScrollArea>
#include <QScrollBar>
#include <QSplitter>
#include <QTimer>

#include "ui/pages/run_panel.h"
#include "ui/pages/section_card.h"
#include "ui/pages/source_cards.h"
#include "ui/viewmodels/form_layout.h"
#include "ui/widgets/banner.h"
#include "ui/widgets/icons.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {
namespace {

QScrollArea* scrolled(QWidget* content) {
  auto* area = new QScrollArea;
  area->setObjectName(QStringLiteral("form"));
  area->setWidgetResizable(true);
  area->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  area->setFocusPolicy(Qt::NoFocus);
  content->setObjectName(QStringLiteral("scrolled"));
  area->setWidget(content);
  return area;
}

}  // namespace

SetupPage::SetupPage(SetupViewModel& vm, QWidget* parent) : Page(tr("Set up"), QStringLiteral("setup"), parent), vm_(vm) {
  makeHeader();
  splitter_ = new QSplitter;
  splitter_->setObjectName(QStringLiteral("setup_splitter"));
  splitter_->setChildrenCollapsible(false);
  splitter_->setHandleWidth(units(4));
  splitter_->addWidget(makeForm());
  auto* side = new QWidget;
  auto* column = new QVBoxLayout(side);
  column->setContentsMargins(0, 0, units(1), 0);
  panel_ = new RunPanel(vm_);
  column->addWidget(panel_);
  column->addStretch(1);
  QScrollArea* area = scrolled(side);
  area->setMinimumWidth(panel_->minimumSizeHint().width() + units(4));
  splitter_->addWidget(area);
  splitter_->setStretchFactor(0, 1);
  splitter_->setSizes({units(180), units(92)});
  this->column()->addWidget(splitter_, 1);
  connect(panel_, &RunPanel::fieldAsked, this, &SetupPage::showField);
  connect(panel_, &RunPanel::changesAsked, this, &SetupPage::showChanges);
  connect(&vm_, &SetupViewModel::problem, this, [this](const QString& what, const ErrorText& error) { banner()->showError(what, error); });
  connect(&vm_, &SetupViewModel::presetsChanged, this, &SetupPage::refreshPresets);
  connect(&vm_, &SetupViewModel::configReplaced, this, &Page::subjectChanged);
  connect(&vm_, &SetupViewModel::fieldChanged, this, &Page::subjectChanged);
  refreshPresets();
}

void SetupPage::makeHeader() {
  search_ = new QLineEdit;
  search_->setPlaceholderText(tr("Search settings"));
  search_->setAccessibleName(tr("Search settings"));
  search_->setClearButtonEnabled(true);
  search_->setFixedWidth(units(55));
  header()->addWidget(search_);
  connect(search_, &QLineEdit::textChanged, this, &SetupPage::search);
  auto* undo = make_button(tr("Undo"), "flat");
  auto* redo = make_button(tr("Redo"), "flat");
  header()->addWidget(undo);
  header()->addWidget(redo);
  QUndoStack& stack = vm_.undoStack();
  connect(undo, &QPushButton::clicked, &stack, &QUndoStack::undo);
  connect(redo, &QPushButton::clicked, &stack, &QUndoStack::redo);
  const auto refresh = [this, undo, redo] {
    undo->setEnabled(vm_.undoStack().canUndo());
    undo->setToolTip(vm_.undoStack().canUndo() ? tr("Undo: %1").arg(vm_.undoStack().undoText()) : tr("Nothing to undo"));
    redo->setEnabled(vm_.undoStack().canRedo());
    redo->setToolTip(vm_.undoStack().canRedo() ? tr("Redo: %1").arg(vm_.undoStack().redoText()) : tr("Nothing to redo"));
  };
  connect(&stack, &QUndoStack::indexChanged, this, refresh);
  refresh();
  preset_ = make_button({});
  preset_->setMenu(new QMenu(preset_));
  header()->addWidget(preset_);
}

QWidget* SetupPage::makeForm() {
  auto* content = new QWidget;
  auto* column = new QVBoxLayout(content);
  column->setContentsMargins(0, 0, units(1), 0);
  column->setSpacing(units(3));
  nothing_found_ = make_label(tr("No setting has these words. Clear the search to see all."), "muted");
  nothing_found_->hide();
  column->addWidget(nothing_found_);
  for (const FormSection& section : form_sections()) {
    auto* card = new SectionCard(vm_, section, {"model.path", "data.train"});
    sections_.push_back(card);
    if (section.id == "model") card->body()->insertWidget(0, new ModelBox(vm_));
    if (section.id == "data") {
      auto* box = new DataBox(vm_);
      card->body()->insertWidget(0, box);
      connect(box, &DataBox::lookInside, this, &SetupPage::lookInside);
    }
    column->addWidget(card);
  }
  column->addStretch(1);
  form_ = scrolled(content);
  form_->setMinimumWidth(units(120));
  return form_;
}

void SetupPage::refreshPresets() {
  preset_->setText(vm_.presetName().isEmpty() ? tr("Presets ▾") : tr("Preset: %1 ▾").arg(vm_.presetName()));
  preset_->setVisible(!vm_.presets().empty());
  QMenu* menu = preset_->menu();
  menu->clear();
  for (const Preset& preset : vm_.presets())
    menu->addAction(preset.name, this, [this, name = preset.name] { vm_.applyPreset(name); });
  menu->addSeparator();
  menu->addAction(tr("Return all settings to the preset"), this, [this] { vm_.returnAllToPreset(); });
}

void SetupPage::focusSearch() {
  search_->setFocus(Qt::ShortcutFocusReason);
  search_->selectAll();
}

void SetupPage::search(const QString& words) {
  bool any = false;
  for (SectionCard* section : sections_) {
    const bool found = section->filter(words.trimmed());
    section->setVisible(found);
    any = any || found;
  }
  nothing_found_->setVisible(!any);
}

std::vector<FieldRow*> SetupPage::rows() const {
  std::vector<FieldRow*> all;
  for (SectionCard* section : sections_) all.insert(all.end(), section->rows().begin(), section->rows().end());
  return all;
}

void SetupPage::showField(const QString& key) {
  search_->clear();
  const std::string name = key.toStdString();
  for (SectionCard* section : sections_)
    for (FieldRow* row : section->rows())
      if (row->field().key == name) {
        section->reveal(row);
        QTimer::singleShot(0, row, [this, row] {  // after the opened part has its place
          form_->ensureWidgetVisible(row, 0, units(10));
          row->takeFocus();
        });
        return;
      }
  form_->verticalScrollBar()->setValue(0);  // the model or data box at the top
}

void SetupPage::showChanges() {
  auto* menu = new QMenu(this);
  menu->setAttribute(Qt::WA_DeleteOnClose);
  for (const QString& line : vm_.changes()) menu->addAction(line)->setEnabled(false);
  menu->addSeparator();
  menu->addAction(tr("Return all settings to the preset"), this, [this] { vm_.returnAllToPreset(); });
  menu->popup(QCursor::pos());
}

}  // namespace lorikeet::ui
