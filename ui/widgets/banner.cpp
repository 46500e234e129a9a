#include "ui/widgets/banner.h"

#include <QClipboard>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QVBoxLayout>

#include "ui/widgets/card.h"
#include "ui/widgets/icons.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {

Banner::Banner(QWidget* parent) : QFrame(parent) {
  setObjectName(QStringLiteral("banner"));
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(units(3), units(2), units(2), units(2));
  column->setSpacing(units(1));
  auto* row = new QHBoxLayout;
  row->setSpacing(units(2));
  icon_ = new IconLabel(QStringLiteral("info"), QStringLiteral("note"), 4.5);
  row->addWidget(icon_, 0, Qt::AlignTop);
  text_ = make_paragraph({});
  row->addWidget(text_, 1);
  action_ = make_button({});
  action_->setAccessibleName(tr("Do what the message offers"));
  more_ = make_button(tr("Details"), "flat");
  more_->setCheckable(true);
  copy_ = make_button(tr("Copy"), "flat");
  auto* close = make_button({}, "flat");
  close->setIcon(icon(QStringLiteral("close")));
  close->setAccessibleName(tr("Close this message"));
  for (auto* button : {action_, more_, copy_, close}) row->addWidget(button, 0, Qt::AlignTop);
  column->addLayout(row);
  details_ = make_paragraph({}, "mono");
  details_->hide();
  column->addWidget(details_);
  connect(more_, &QPushButton::toggled, details_, &QLabel::setVisible);
  connect(copy_, &QPushButton::clicked, this, [this] { QGuiApplication::clipboard()->setText(text_->text() + '\n' + details_->text()); });
  connect(action_, &QPushButton::clicked, this, &Banner::actionClicked);
  connect(close, &QPushButton::clicked, this, [this] {
    hide();
    emit closed();
  });
  hide();
}

QString Banner::text() const { return text_->text(); }

void Banner::show_(const QString& text, const QString& details, const QString& action, const char* tone, const QString& icon_name) {
  set_style_property(this, "tone", tone);
  icon_->setIcon(icon_name, qstrlen(tone) ? QString::fromLatin1(tone) : QStringLiteral("accent"));
  text_->setText(text);
  details_->setText(details);
  more_->setChecked(false);
  more_->setVisible(!details.isEmpty());
  copy_->setVisible(!details.isEmpty());
  action_->setText(action);
  if (!action.isEmpty()) action_->setAccessibleName(action);
  action_->setVisible(!action.isEmpty());
  setAccessibleName(text);
  show();
}

void Banner::showError(const QString& what, const ErrorText& error) {
  const QString text = what.isEmpty() ? error.message : tr("%1 %2", "what failed, then why").arg(what, error.message);
  show_(text, error.details(), {}, "error", QStringLiteral("error"));
}

void Banner::showNote(const QString& text, const QString& action_text, const char* tone) {
  show_(text, {}, action_text, tone, qstrlen(tone) ? QStringLiteral("warning") : QStringLiteral("info"));
}

}  // namespace lorikeet::ui
