#include "ui/widgets/theme.h"

#include <QApplication>
#include <QFile>
#include <QFontDatabase>
#include <QFontMetricsF>
#include <QPointer>
#include <QRegularExpression>
#include <QStyleFactory>
#include <algorithm>
#include <cmath>

static void load_ui_resources() { Q_INIT_RESOURCE(studio); }  // the macro must stand outside a namespace

namespace lorikeet::ui {
namespace {

ThemeColors light_colors() {
  ThemeColors c;
  c.window = 0xf7f7f5, c.card = 0xffffff, c.field = 0xffffff, c.line = 0xe4e4e0, c.line_strong = 0xd3d3ce;
  c.text = 0x1d1f21, c.muted = 0x666a6d;
  c.accent = 0x1f7a5a, c.on_accent = 0xffffff, c.accent_hover = 0x1a6a4e, c.accent_soft = 0xe2f1eb, c.on_accent_soft = 0x17694c;
  c.warning = 0x9a5a10, c.warning_soft = 0xfbecd9, c.error = 0xb3261e, c.error_soft = 0xfbe5e3, c.note = 0x2f6cb3;
  c.series = {QColor(0x1f7a5a), QColor(0x2f6cb3), QColor(0x7d4fb0), QColor(0xc5741b), QColor(0x9aa0a6)};
  return c;
}

ThemeColors dark_colors() {
  ThemeColors c;
  c.window = 0x1b1d20, c.card = 0x24272b, c.field = 0x1f2225, c.line = 0x34383d, c.line_strong = 0x464b51;
  c.text = 0xeceef0, c.muted = 0xa2a8ae;
  c.accent = 0x4fc196, c.on_accent = 0x0e1c16, c.accent_hover = 0x63d0a7, c.accent_soft = 0x1f3a30, c.on_accent_soft = 0x63d0a7;
  c.warning = 0xe6a85c, c.warning_soft = 0x40311c, c.error = 0xf28b82, c.error_soft = 0x47262a, c.note = 0x7fb2ee;
  c.series = {QColor(0x4fc196), QColor(0x6fa8ea), QColor(0xb395e6), QColor(0xe3a155), QColor(0x8d949b)};
  return c;
}

QPalette palette_of(const ThemeColors& c) {
  QPalette p;
  p.setColor(QPalette::Window, c.window);
  p.setColor(QPalette::WindowText, c.text);
  p.setColor(QPalette::Base, c.field);
  p.setColor(QPalette::AlternateBase, c.window);
  p.setColor(QPalette::Text, c.text);
  p.setColor(QPalette::PlaceholderText, c.muted);
  p.setColor(QPalette::Button, c.card);
  p.setColor(QPalette::ButtonText, c.text);
  p.setColor(QPalette::BrightText, c.error);
  p.setColor(QPalette::ToolTipBase, c.card);
  p.setColor(QPalette::ToolTipText, c.text);
  p.setColor(QPalette::Highlight, c.accent);
  p.setColor(QPalette::HighlightedText, c.on_accent);
  p.setColor(QPalette::Link, c.accent);
  p.setColor(QPalette::LinkVisited, c.accent);
  p.setColor(QPalette::Light, c.card.lighter(108));
  p.setColor(QPalette::Midlight, c.line);
  p.setColor(QPalette::Mid, c.line_strong);
  p.setColor(QPalette::Dark, c.line_strong);
  p.setColor(QPalette::Shadow, c.line_strong.darker(140));
  for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText})
    p.setColor(QPalette::Disabled, role, c.muted);
  return p;
}

}  // namespace

Theme& Theme::instance() {
  static QPointer<Theme> theme;
  if (!theme) theme = new Theme(qApp);
  return *theme;
}

Theme::Theme(QObject* parent) : QObject(parent) {
  load_ui_resources();
  const QPalette system = QApplication::palette();
  system_dark_ = system.color(QPalette::WindowText).lightnessF() > system.color(QPalette::Window).lightnessF();
  system_font_ = QApplication::font();
  // Without a desktop's settings Qt says 9 points of the generic family; desktops themselves use 10 or 11.
  if (system_font_.pointSizeF() == 9 && QStringList{"Sans Serif", "Sans", "Helvetica"}.contains(system_font_.family())) {
    system_font_.setPointSizeF(10);
    QApplication::setFont(system_font_);
  }
  QApplication::setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
  apply();
}

void Theme::setChoice(ThemeChoice choice) {
  choice_ = choice;
  apply();
}

void Theme::apply() {
  dark_ = choice_ == ThemeChoice::dark || (choice_ == ThemeChoice::system && system_dark_);
  colors_ = dark_ ? dark_colors() : light_colors();
  QApplication::setPalette(palette_of(colors_));
  qApp->setStyleSheet(styleSheet());
  emit changed();
}

int Theme::unit(double n) const {
  const double line = QFontMetricsF(system_font_).height();
  return std::max(1, int(std::lround(n * line / 4)));
}

QFont Theme::body() const { return system_font_; }

QFont Theme::small() const {
  QFont f = system_font_;
  f.setPointSizeF(system_font_.pointSizeF() * 0.92);
  return f;
}

QFont Theme::title() const {
  QFont f = system_font_;
  f.setPointSizeF(system_font_.pointSizeF() * 1.3);
  f.setWeight(QFont::DemiBold);
  return f;
}

QFont Theme::mono() const {
  QFont f = QFontDatabase::systemFont(QFontDatabase::FixedFont);
  f.setPointSizeF(system_font_.pointSizeF() * 0.95);
  return f;
}

/// The sheet in resources/styles holds @names@ instead of figures: @card@ a colour, @2.5u@ units, @small@ a font size.
QString Theme::styleSheet() const {
  QFile file(QStringLiteral(":/styles/studio.qss"));
  if (!file.open(QIODevice::ReadOnly)) return {};
  const QString source = QString::fromUtf8(file.readAll());
  const ThemeColors& c = colors_;
  const QHash<QString, QString> names = {
      {"window", c.window.name()}, {"card", c.card.name()}, {"field", c.field.name()}, {"line", c.line.name()},
      {"line_strong", c.line_strong.name()}, {"text", c.text.name()}, {"muted", c.muted.name()}, {"accent", c.accent.name()},
      {"on_accent", c.on_accent.name()}, {"accent_hover", c.accent_hover.name()}, {"accent_soft", c.accent_soft.name()},
      {"on_accent_soft", c.on_accent_soft.name()}, {"warning", c.warning.name()}, {"warning_soft", c.warning_soft.name()},
      {"error", c.error.name()}, {"error_soft", c.error_soft.name()}, {"note", c.note.name()},
      {"small", QString::number(small().pointSizeF(), 'f', 2) + "pt"}, {"title", QString::number(title().pointSizeF(), 'f', 2) + "pt"},
      {"mono", mono().family()}};
  static const QRegularExpression mark(QStringLiteral("@([a-z_]+|[0-9.]+u)@"));
  QString out;
  qsizetype from = 0;
  for (auto it = mark.globalMatch(source); it.hasNext();) {
    const auto m = it.next();
    out += source.mid(from, m.capturedStart() - from);
    const QString name = m.captured(1);
    out += name.endsWith('u') && name[0].isDigit() ? QString::number(unit(name.chopped(1).toDouble())) + "px" : names.value(name);
    from = m.capturedEnd();
  }
  return out + source.mid(from);
}

int units(double n) { return Theme::instance().unit(n); }
const ThemeColors& colors() { return Theme::instance().colors(); }

}  // namespace lorikeet::ui
