/// A count as people read it: 48,120.
#pragma once
#include <QLocale>
#include <QString>

namespace lorikeet::ui {

inline QString counted(double n) {
  static const QLocale kLocale(QLocale::English, QLocale::UnitedStates);
  return kLocale.toString(qlonglong(n));
}

}  // namespace lorikeet::ui
