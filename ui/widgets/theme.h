/// Colours, type and spacing of the whole window, for light and dark. Every size is a multiple of unit(), which follows
/// the system font; there are no fixed pixels. Colours of series are Okabe-Ito's colour-blind-safe set (2008), tuned in
/// lightness for each background.
#pragma once
#include <QColor>
#include <QFont>
#include <QObject>
#include <QPalette>
#include <array>

namespace lorikeet::ui {

enum class ThemeChoice { system, light, dark };

struct ThemeColors {
  QColor window, card, field, line, line_strong;
  QColor text, muted;
  QColor accent, on_accent, accent_hover, accent_soft, on_accent_soft;
  QColor warning, warning_soft, error, error_soft, note;
  std::array<QColor, 5> series;  // green, blue, purple, orange, grey
};

class Theme : public QObject {
  Q_OBJECT
 public:
  /// The theme of this application object; made on first use.
  static Theme& instance();

  void setChoice(ThemeChoice choice);
  ThemeChoice choice() const { return choice_; }
  bool isDark() const { return dark_; }
  const ThemeColors& colors() const { return colors_; }

  /// About a quarter of the height of a line of text, times `n`.
  int unit(double n = 1) const;
  QFont body() const;
  QFont small() const;
  QFont title() const;
  QFont mono() const;

 signals:
  void changed();

 private:
  explicit Theme(QObject* parent);
  void apply();
  QString styleSheet() const;

  ThemeChoice choice_ = ThemeChoice::system;
  bool system_dark_ = false, dark_ = false;
  ThemeColors colors_;
  QFont system_font_;
};

/// Short for Theme::instance().unit(n) and .colors().
int units(double n = 1);
const ThemeColors& colors();

}  // namespace lorikeet::ui
