/// A table of texts with raw values for sorting: the event log, the samples of a data set, the files of an export.
#pragma once
#include <QAbstractTableModel>
#include <vector>

namespace lorikeet::ui {

struct TableRow {
  QStringList texts;
  QVariantList raw;  // for sorting; may be shorter than texts
  QString tool_tip;
  QVariant payload;  // what the page needs to act on the row
};

class RowsModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  enum Role { raw_role = Qt::UserRole, payload_role };
  explicit RowsModel(QStringList headings, QObject* parent = nullptr);
  void setRows(std::vector<TableRow> rows);
  void append(TableRow row);
  /// Columns set in figures, to the right.
  void setFigureColumns(QList<int> columns) { figures_ = std::move(columns); }

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  QStringList headings_;
  QList<int> figures_;
  std::vector<TableRow> rows_;
};

}  // namespace lorikeet::ui
