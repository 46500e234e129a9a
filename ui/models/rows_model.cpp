#include "ui/models/rows_model.h"

namespace lorikeet::ui {

RowsModel::RowsModel(QStringList headings, QObject* parent) : QAbstractTableModel(parent), headings_(std::move(headings)) {}

void RowsModel::setRows(std::vector<TableRow> rows) {
  beginResetModel();
  rows_ = std::move(rows);
  endResetModel();
}

void RowsModel::append(TableRow row) {
  beginInsertRows({}, int(rows_.size()), int(rows_.size()));
  rows_.push_back(std::move(row));
  endInsertRows();
}

int RowsModel::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : int(rows_.size()); }
int RowsModel::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : int(headings_.size()); }

QVariant RowsModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
  const TableRow& row = rows_[size_t(index.row())];
  switch (role) {
    case Qt::DisplayRole: return row.texts.value(index.column());
    case Qt::ToolTipRole: return row.tool_tip.isEmpty() ? row.texts.value(index.column()) : row.tool_tip;
    case Qt::TextAlignmentRole: return int((figures_.contains(index.column()) ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
    case raw_role: return row.raw.value(index.column(), row.texts.value(index.column()));
    case payload_role: return row.payload;
    default: return {};
  }
}

QVariant RowsModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation == Qt::Horizontal && role == Qt::DisplayRole) return headings_.value(section);
  if (orientation == Qt::Horizontal && role == Qt::TextAlignmentRole)
    return int((figures_.contains(section) ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
  return QAbstractTableModel::headerData(section, orientation, role);
}

}  // namespace lorikeet::ui
