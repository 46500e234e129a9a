#include "ui/widgets/command_palette.h"

#include <QAction>
#include <QKeyEvent>
#include <QLineEdit>
#include <QListView>
#include <QPainter>
#include <QStandardItemModel>
#include <QStyledItemDelegate>
#include <QVBoxLayout>
#include <algorithm>
#include <vector>

#include "ui/widgets/icons.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {

int fuzzy_score(const QString& pattern, const QString& text) {
  int score = 0;
  qsizetype at = -1;
  for (const QChar c : pattern) {
    if (c.isSpace()) continue;
    const qsizetype next = text.indexOf(c, at + 1, Qt::CaseInsensitive);
    if (next < 0) return -1;
    if (next == at + 1) score += 6;
    if (next == 0 || !text[next - 1].isLetterOrNumber()) score += 8;
    score += std::max<int>(0, 4 - int(next - at));
    at = next;
  }
  return score * 100 - int(text.size());
}

namespace {

constexpr int kKeysRole = Qt::UserRole + 1;

/// The name at the left behind its icon's place, the keys at the right.
class CommandDelegate : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    QStyledItemDelegate::paint(painter, option, index);
    painter->setPen(colors().muted);
    painter->setFont(Theme::instance().small());
    painter->drawText(option.rect.adjusted(0, 0, -units(3), 0), Qt::AlignRight | Qt::AlignVCenter, index.data(kKeysRole).toString());
  }
};

}  // namespace

CommandPalette::CommandPalette(QWidget* window)
    : QFrame(window), line_(new QLineEdit), list_(new QListView), model_(new QStandardItemModel(this)) {
  setObjectName(QStringLiteral("palette"));
  setAccessibleName(tr("Commands"));
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(units(2), units(2), units(2), units(2));
  column->setSpacing(units(2));
  line_->setPlaceholderText(tr("Type a command"));
  line_->setAccessibleName(tr("Type a command"));
  list_->setModel(model_);
  list_->setItemDelegate(new CommandDelegate(list_));
  list_->setAccessibleName(tr("Commands that fit"));
  list_->setFocusPolicy(Qt::NoFocus);
  list_->setEditTriggers(QAbstractItemView::NoEditTriggers);
  list_->setUniformItemSizes(true);
  list_->setIconSize({units(4), units(4)});
  column->addWidget(line_);
  column->addWidget(list_, 1);
  connect(line_, &QLineEdit::textChanged, this, &CommandPalette::filter);
  connect(list_, &QListView::clicked, this, &CommandPalette::run);
  line_->installEventFilter(this);
  hide();
}

void CommandPalette::open(const QList<QAction*>& actions) {
  actions_ = actions;
  const int width = std::min(parentWidget()->width() - units(10), units(130));
  const int height = std::min(parentWidget()->height() - units(30), units(100));
  setGeometry((parentWidget()->width() - width) / 2, units(16), width, height);
  line_->clear();
  filter({});
  raise();
  show();
  line_->setFocus(Qt::PopupFocusReason);
}

void CommandPalette::filter(const QString& words) {
  std::vector<std::pair<int, QAction*>> found;
  for (QAction* action : actions_) {
    if (action->isSeparator() || action->text().isEmpty() || !action->isVisible()) continue;
    const int score = fuzzy_score(words, action->text().remove('&'));
    if (score >= 0 || words.trimmed().isEmpty()) found.emplace_back(words.trimmed().isEmpty() ? 0 : score, action);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  model_->clear();
  QPixmap nothing(units(4), units(4));
  nothing.fill(Qt::transparent);
  const QIcon blank(nothing);  // names stand in one column, with an icon or without
  for (const auto& [score, action] : found) {
    const QString keys = action->shortcut().toString(QKeySequence::NativeText);
    auto* item = new QStandardItem(action->icon().isNull() ? blank : action->icon(), action->text().remove('&'));
    item->setData(keys, kKeysRole);
    item->setAccessibleText(keys.isEmpty() ? item->text() : tr("%1, keys %2").arg(item->text(), keys));
    item->setData(QVariant::fromValue(action), Qt::UserRole);
    item->setEnabled(action->isEnabled());
    if (!action->isEnabled()) item->setToolTip(action->toolTip());
    model_->appendRow(item);
  }
  list_->setCurrentIndex(model_->index(0, 0));
}

void CommandPalette::run() {
  auto* action = list_->currentIndex().data(Qt::UserRole).value<QAction*>();
  if (!action || !action->isEnabled()) return;
  hide();
  parentWidget()->setFocus();
  action->trigger();
}

bool CommandPalette::eventFilter(QObject* watched, QEvent* event) {
  if (event->type() == QEvent::FocusOut) hide();
  if (event->type() == QEvent::KeyPress) {
    const int key = static_cast<QKeyEvent*>(event)->key();
    const int row = list_->currentIndex().row();
    if (key == Qt::Key_Escape) {
      hide();
      parentWidget()->setFocus();
      return true;
    }
    if (key == Qt::Key_Return || key == Qt::Key_Enter) return run(), true;
    if (key == Qt::Key_Down || key == Qt::Key_Up) {
      const int next = std::clamp(row + (key == Qt::Key_Down ? 1 : -1), 0, std::max(0, model_->rowCount() - 1));
      list_->setCurrentIndex(model_->index(next, 0));
      return true;
    }
  }
  return QFrame::eventFilter(watched, event);
}

}  // namespace lorikeet::ui
