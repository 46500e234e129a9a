#include "ui/pages/data_page.h"

#include <QHeaderView>
#include <QLocale>
#include <QPushButton>
#include <QScrollArea>
#include <QSplitter>
#include <QStackedWidget>
#include <QTableView>

#include "ui/models/counted.h"
#include "ui/widgets/banner.h"
#include "ui/widgets/card.h"
#include "ui/widgets/histogram.h"
#include "ui/widgets/labels.h"
#include "ui/widgets/theme.h"
#include "ui/widgets/token_view.h"

namespace lorikeet::ui {

DataPage::DataPage(DataViewModel& vm, QWidget* parent) : Page(tr("Data"), QStringLiteral("data"), parent), vm_(vm) {
  loading_ = make_label(tr("Reading the data…"), "muted");
  header()->addWidget(loading_);
  auto* choose = make_button(tr("Choose data…"));
  header()->addWidget(choose);
  connect(choose, &QPushButton::clicked, this, &DataPage::chooseAsked);

  auto* content = new QWidget;
  auto* rows = new QVBoxLayout(content);
  rows->setContentsMargins(0, 0, 0, 0);
  rows->setSpacing(units(2));
  summary_ = make_paragraph({}, "muted");
  rows->addWidget(summary_);
  splitter_ = new QSplitter;
  splitter_->setObjectName(QStringLiteral("data_splitter"));
  splitter_->setChildrenCollapsible(false);
  splitter_->setHandleWidth(units(4));
  auto* left = new QSplitter(Qt::Vertical);
  left->setObjectName(QStringLiteral("data_left_splitter"));
  left->setChildrenCollapsible(false);
  left->setHandleWidth(units(3));
  left->addWidget(makeTable());
  left->addWidget(makeSample());
  left->setSizes({units(80), units(90)});
  splitter_->addWidget(left);
  splitter_->addWidget(makeSide());
  splitter_->setStretchFactor(0, 1);
  splitter_->setSizes({units(190), units(80)});
  rows->addWidget(splitter_, 1);
  empty_ = new EmptyState(QStringLiteral("data"), tr("No data to show"),
                          tr("Here you see each sample as the model will: which tokens it learns from, which it only reads, and where long texts are cut."),
                          tr("Choose data…"));
  connect(empty_->button(), &QPushButton::clicked, this, &DataPage::chooseAsked);
  stack_ = new QStackedWidget;
  stack_->addWidget(empty_);
  stack_->addWidget(content);
  column()->addWidget(stack_, 1);
  connect(&vm_, &DataViewModel::changed, this, &DataPage::refresh);
  connect(&vm_, &DataViewModel::loadingChanged, this, &DataPage::refresh);
  connect(&vm_, &DataViewModel::selectionAsked, table_, &QTableView::selectRow);
  connect(&vm_, &DataViewModel::problem, this, [this](const QString& what, const ErrorText& e) { banner()->showError(what, e); });
  refresh();
}

QString DataPage::subject() const { return vm_.hasData() ? tr("%1 samples").arg(counted(double(vm_.sampleCount()))) : QString(); }

QWidget* DataPage::makeTable() {
  auto* card = new Card(tr("Samples"));
  previous_ = make_button(tr("‹"), "flat");
  previous_->setAccessibleName(tr("Earlier samples"));
  next_ = make_button(tr("›"), "flat");
  next_->setAccessibleName(tr("Later samples"));
  paging_ = make_label({}, "small");
  card->head()->addWidget(previous_);
  card->head()->addWidget(paging_);
  card->head()->addWidget(next_);
  connect(previous_, &QPushButton::clicked, this, [this] { vm_.showPage(vm_.first() - DataViewModel::kPageSize); });
  connect(next_, &QPushButton::clicked, this, [this] { vm_.showPage(vm_.first() + DataViewModel::kPageSize); });
  table_ = new QTableView;
  table_->setModel(&vm_.samplesModel());
  table_->setAccessibleName(tr("Samples"));
  table_->setSelectionBehavior(QAbstractItemView::SelectRows);
  table_->setSelectionMode(QAbstractItemView::SingleSelection);
  table_->setShowGrid(false);
  table_->setTabKeyNavigation(false);
  table_->verticalHeader()->hide();
  table_->verticalHeader()->setDefaultSectionSize(units(7));
  table_->horizontalHeader()->setStretchLastSection(true);
  table_->horizontalHeader()->setHighlightSections(false);
  table_->setWordWrap(false);
  table_->setMinimumHeight(units(30));
  for (int c = 0; c < 3; ++c) table_->setColumnWidth(c, units(17));
  connect(table_->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& now) { showSample(now.row()); });
  card->body()->addWidget(table_, 1);
  return card;
}

QWidget* DataPage::makeSample() {
  auto* card = new Card(tr("Tokens"));
  sample_title_ = make_label({}, "small");
  card->head()->insertWidget(1, sample_title_);
  card->head()->addWidget(new TokenLegend);
  tokens_ = new TokenView;
  tokens_->setMinimumHeight(units(24));
  card->body()->addWidget(tokens_, 1);
  return card;
}

QWidget* DataPage::makeSide() {
  auto* side = new QWidget;
  side->setObjectName(QStringLiteral("scrolled"));
  auto* column = new QVBoxLayout(side);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(units(3));
  auto* lengths = new Card(tr("Lengths"));
  histogram_ = new Histogram;
  lengths->body()->addWidget(histogram_);
  column->addWidget(lengths);
  auto* audit = new Card(tr("What to know about it"));
  findings_ = new QVBoxLayout;
  findings_->setSpacing(units(2));
  audit->body()->addLayout(findings_);
  column->addWidget(audit);
  column->addStretch(1);
  auto* area = new QScrollArea;
  area->setObjectName(QStringLiteral("form"));
  area->setWidgetResizable(true);
  area->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  area->setFocusPolicy(Qt::NoFocus);
  area->setWidget(side);
  area->setMinimumWidth(units(60));
  return area;
}

void DataPage::refresh() {
  loading_->setVisible(vm_.isLoading());
  stack_->setCurrentIndex(vm_.hasData() ? 1 : 0);
  empty_->setText(vm_.isLoading() ? tr("Reading and tokenising the data…")
                                  : tr("Here you see each sample as the model will: which tokens it learns from, which it only reads, and where long texts are cut."));
  if (!vm_.hasData() || vm_.isLoading()) return;
  banner()->hide();  // what went wrong before is over
  summary_->setText(vm_.summaryText() + (vm_.evidence().isEmpty() ? QString() : QStringLiteral("\n") + vm_.evidence()));
  histogram_->setBars(vm_.histogram(), double(vm_.maxLength()));
  const qint64 last = std::min(vm_.first() + DataViewModel::kPageSize, vm_.sampleCount());
  paging_->setText(tr("%1 to %2 of %3").arg(vm_.sampleCount() ? vm_.first() + 1 : 0).arg(last).arg(vm_.sampleCount()));
  previous_->setEnabled(vm_.first() > 0);
  next_->setEnabled(last < vm_.sampleCount());
  showFindings();
  if (!table_->currentIndex().isValid() && table_->model()->rowCount() > 0) table_->selectRow(0);
  showSample(table_->currentIndex().row());
  emit subjectChanged();
}

void DataPage::showSample(int row) {
  const ShownSample* s = vm_.sample(row);
  if (!s) {
    sample_title_->clear();
    return tokens_->setTokens({});
  }
  QString text = tr("row %1 · %2 tokens, %3 trained on").arg(s->number + 1).arg(s->tokens.size()).arg(s->trainedCount());
  if (s->truncated) text += QStringLiteral(" · ") + tr("cut from %1").arg(s->original_tokens);
  if (!s->dropped.isEmpty()) text = tr("row %1 is left out: %2").arg(s->number + 1).arg(s->dropped);
  sample_title_->setText(text);
  auto tokens = s->tokens;
  if (s->truncated && s->original_tokens > qint64(tokens.size())) {
    ShownToken rest;
    rest.text = tr("… %1 more").arg(s->original_tokens - qint64(tokens.size()));
    rest.cut = true;
    tokens.push_back(rest);
  }
  tokens_->setTokens(std::move(tokens));
}

void DataPage::showFindings() {
  while (QLayoutItem* item = findings_->takeAt(0)) {
    if (item->widget()) item->widget()->deleteLater();
    delete item;
  }
  if (vm_.findings().empty()) findings_->addWidget(make_paragraph(tr("Nothing odd was found: every row could be read, has words to learn from, and fits."), "muted"));
  for (const DataFinding& f : vm_.findings()) {
    auto* line = new QWidget;
    auto* row = new QHBoxLayout(line);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(units(2));
    const QString icon_name = f.severity == "error" ? "error" : f.severity == "warning" ? "warning" : "info";
    row->addWidget(new IconLabel(icon_name, f.severity == "error" ? "error" : f.severity == "warning" ? "warning" : "note", 4), 0, Qt::AlignTop);
    auto* words = new QVBoxLayout;
    words->setSpacing(0);
    words->addWidget(make_paragraph(f.text));
    if (!f.samples.empty()) {
      auto* show = make_button(tr("Show me"), "link");
      show->setAccessibleName(tr("Show a sample: %1").arg(f.text));
      auto next = std::make_shared<size_t>(0);  // each click the next one
      connect(show, &QPushButton::clicked, this, [this, samples = f.samples, next] { vm_.showSample(samples[(*next)++ % samples.size()]); });
      words->addWidget(show, 0, Qt::AlignLeft);
    }
    row->addLayout(words, 1);
    findings_->addWidget(line);
  }
}

}  // namespace lorikeet::ui
