/// The program's icons: one SVG set in resources/icons, drawn in the colour of the text beside them.
#pragma once
#include <QColor>
#include <QIcon>
#include <QPixmap>
#include <QString>

namespace lorikeet::ui {

/// An icon by file stem; normal, disabled and selected states follow the theme. Ask again after Theme::changed.
QIcon icon(const QString& name);
QIcon icon(const QString& name, const QColor& color);
/// One picture of `size` logical pixels at the given device pixel ratio.
QPixmap icon_pixmap(const QString& name, const QColor& color, int size, double ratio);

}  // namespace lorikeet::ui
