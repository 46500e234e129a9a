#include "ui/pages/page.h"

#include "ui/widgets/banner.h"
#include "ui/widgets/theme.h"

namespace lorikeet::ui {

Page::Page(const QString& title, const QString& icon_name, QWidget* parent)
    : QWidget(parent), title_(title), icon_name_(icon_name), header_(new QWidget), banner_(new Banner) {
  setObjectName(QStringLiteral("page"));
  auto* row = new QHBoxLayout(header_);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(units(2));
  column_ = new QVBoxLayout(this);
  column_->setContentsMargins(units(5), units(4), units(5), units(4));
  column_->setSpacing(units(3));
  column_->addWidget(banner_);
}

QHBoxLayout* Page::header() const { return static_cast<QHBoxLayout*>(header_->layout()); }

}  // namespace lorikeet::ui
