/// One sample token by token, as the model sees it. What a token counts for is told by colour and by shape:
/// trained = filled box with a thick line below; masked = plain text; special = outlined box; cut = struck through.
#pragma once
#include <QAbstractScrollArea>
#include <QRectF>
#include <vector>

#include "ui/viewmodels/data_view_model.h"

namespace lorikeet::ui {

class TokenView : public QAbstractScrollArea {
  Q_OBJECT
 public:
  explicit TokenView(QWidget* parent = nullptr);
  void setTokens(std::vector<ShownToken> tokens);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  bool viewportEvent(QEvent* event) override;

 private:
  struct Piece { QRectF box; size_t token; QString text; };
  void layoutTokens();
  void describe();
  QString tipOf(const ShownToken& token) const;

  std::vector<ShownToken> tokens_;
  std::vector<Piece> pieces_;
  size_t current_ = 0;
};

/// The four ways a token is drawn, with their names.
class TokenLegend : public QWidget {
  Q_OBJECT
 public:
  explicit TokenLegend(QWidget* parent = nullptr);
  QSize sizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;
};

}  // namespace lorikeet::ui
