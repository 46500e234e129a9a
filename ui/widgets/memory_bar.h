/// A bar of parts against a whole, with a legend below: where the memory of a run goes against what is free.
#pragma once
#include <QColor>
#include <QWidget>
#include <vector>

class QGridLayout;
namespace lorikeet::ui {

struct MemoryPart { QString name; quint64 bytes = 0; };

/// The bar alone. Parts beyond the five colours of the theme share the last one.
class StackedBar : public QWidget {
  Q_OBJECT
 public:
  explicit StackedBar(QWidget* parent = nullptr);
  void setParts(std::vector<MemoryPart> parts, quint64 whole);
  QSize sizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  std::vector<MemoryPart> parts_;
  quint64 whole_ = 0;
};

class MemoryBar : public QWidget {
  Q_OBJECT
 public:
  explicit MemoryBar(QWidget* parent = nullptr);
  void setParts(const std::vector<MemoryPart>& parts, quint64 total, quint64 available);

 private:
  StackedBar* bar_;
  QGridLayout* legend_;
};

}  // namespace lorikeet::ui
