/// The widgets that decide something: numbers, choices, the palette's ranking, charts with many points.
#include <QLabel>
#include <QWheelEvent>
#include <cmath>

#include "tests/support/support.h"
#include "tests/ui/ui_support.h"
#include "ui/viewmodels/form_layout.h"
#include "ui/widgets/card.h"
#include "ui/widgets/chart.h"
#include "ui/widgets/command_palette.h"
#include "ui/widgets/field_row.h"
#include "ui/widgets/number_edit.h"
#include "ui/widgets/segmented_choice.h"
#include "ui/widgets/theme.h"

using namespace lorikeet;
using namespace lorikeet::ui;

namespace {

double luminance(const QColor& c) {  // WCAG 2.1, relative luminance
  const auto f = [](double v) { return v <= 0.03928 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4); };
  return 0.2126 * f(c.redF()) + 0.7152 * f(c.greenF()) + 0.0722 * f(c.blueF());
}
double contrast(const QColor& a, const QColor& b) {
  const double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

}  // namespace

class WidgetsTest : public QObject {
  Q_OBJECT
 private slots:
  void showsNumbersAsPeopleWriteThem_data() {
    QTest::addColumn<double>("value");
    QTest::addColumn<QString>("text");
    QTest::newRow("rate") << 2e-4 << "2e-4";
    QTest::newRow("odd rate") << 3.5e-5 << "3.5e-5";
    QTest::newRow("share") << 0.05 << "0.05";
    QTest::newRow("whole") << 512.0 << "512";
    QTest::newRow("eps") << 1e-8 << "1e-8";
    QTest::newRow("zero") << 0.0 << "0";
  }
  void showsNumbersAsPeopleWriteThem() {
    QFETCH(double, value);
    QTEST(NumberEdit::textOf(value), "text");
  }

  void acceptsScientificNotationAndRefusesTheRest() {
    NumberEdit edit(false, 0, 10);
    edit.setNumber(1);
    QSignalSpy edited(&edit, &NumberEdit::numberEdited), wrong(&edit, &NumberEdit::wrongText);
    edit.setFocus();
    edit.selectAll();
    QTest::keyClicks(&edit, "2e-4");
    QCOMPARE(edit.number(), 2e-4);
    QVERIFY(edited.count() > 0);
    for (const char* bad : {"x", "11", "-1", "1,5", "nan", "inf", "0x10"}) {
      double value = 0;
      QString why;
      QVERIFY2(!edit.read(QString::fromLatin1(bad), value, why), bad);
      QVERIFY2(!why.isEmpty(), bad);
    }
    QVERIFY(wrong.count() > 0);
  }

  void ignoresTheWheelUnlessFocused() {
    NumberEdit edit(true, 0, 100);
    edit.setNumber(5);
    QWheelEvent wheel(QPointF(1, 1), QPointF(1, 1), QPoint(), QPoint(0, 120), Qt::NoButton, Qt::NoModifier, Qt::NoScrollPhase, false);
    QApplication::sendEvent(&edit, &wheel);
    QCOMPARE(edit.number(), 5.0);
  }

  void stepsWithTheArrowKeys() {
    NumberEdit whole(true, 1, 100), rate(false, 0, 10);
    whole.setNumber(16);
    QTest::keyClick(&whole, Qt::Key_Up);
    QCOMPARE(whole.number(), 17.0);
    rate.setNumber(2e-4);
    QTest::keyClick(&rate, Qt::Key_Up);
    QCOMPARE(rate.number(), 3e-4);
    QTest::keyClick(&rate, Qt::Key_Down);
    QTest::keyClick(&rate, Qt::Key_Down);
    QCOMPARE(rate.number(), 1e-4);
  }

  void everyFieldRowShowsAndGivesBackItsValue() {
    RunConfig c;
    for (const Field& f : config_fields()) {
      FieldRow row(f);
      QSignalSpy edited(&row, &FieldRow::edited);
      row.setValue(field_value(c, f.key));
      QCOMPARE(edited.count(), 0);  // showing is not editing
      QVERIFY2(!row.control()->accessibleName().isEmpty(), f.key.data());
      QVERIFY2(!row.control()->accessibleDescription().isEmpty(), f.key.data());
    }
  }

  void textOfListsAndMapsReadsBack() {
    const Field* list = find_field("adapter.target_modules");
    const Field* map = find_field("adapter.rank_pattern");
    QVERIFY(list && map);
    const Json modules = {"q_proj", "v_proj"}, ranks = {{"down_proj", 8.0}, {"up_proj", 4.5}};
    QVERIFY(value_of_text(*list, text_of_value(*list, modules)) == modules);
    QVERIFY(value_of_text(*map, text_of_value(*map, ranks)) == ranks);
    QVERIFY_EXCEPTION_THROWN(value_of_text(*map, "down_proj"), std::exception);
  }

  void aSegmentedChoiceTellsOnlyOfClicks() {
    SegmentedChoice choice("bits", {"a", "b", "c", "d"}, {"A", "B", "C", "D"}, 2);
    QSignalSpy chosen(&choice, &SegmentedChoice::chosen);
    choice.setValue("b");
    choice.setValue("d");
    QCOMPARE(chosen.count(), 0);
    QCOMPARE(choice.value(), QString("d"));
    const auto buttons = choice.findChildren<QAbstractButton*>();
    QCOMPARE(buttons.size(), 3);
    QCOMPARE(buttons[2]->text(), QString("D"));
    buttons[0]->click();
    QCOMPARE(chosen.count(), 1);
    QCOMPARE(chosen[0][0].toString(), QString("a"));
  }

  void thePaletteRanksWordStartsFirst() {
    QVERIFY(fuzzy_score("st", "Start training") > fuzzy_score("st", "Return all settings to the preset"));
    QVERIFY(fuzzy_score("gm", "Go to Monitor") > 0);
    QCOMPARE(fuzzy_score("xyz", "Start training"), -1);
  }

  void bothThemesHaveReadableContrast() {
    for (const ThemeChoice choice : {ThemeChoice::light, ThemeChoice::dark}) {
      Theme::instance().setChoice(choice);
      const ThemeColors& c = colors();
      for (const QColor& back : {c.card, c.window, c.field}) {
        QVERIFY(contrast(c.text, back) >= 7);
        QVERIFY2(contrast(c.muted, back) >= 4.5, qPrintable(QString::number(contrast(c.muted, back))));
      }
      QVERIFY2(contrast(c.on_accent, c.accent) >= 4.5, qPrintable(QString::number(contrast(c.on_accent, c.accent))));
      QVERIFY2(contrast(c.on_accent_soft, c.accent_soft) >= 4.5, qPrintable(QString::number(contrast(c.on_accent_soft, c.accent_soft))));
      QVERIFY2(contrast(c.warning, c.warning_soft) >= 4.5, qPrintable(QString::number(contrast(c.warning, c.warning_soft))));
      QVERIFY2(contrast(c.error, c.error_soft) >= 4.5, qPrintable(QString::number(contrast(c.error, c.error_soft))));
    }
    Theme::instance().setChoice(ThemeChoice::light);
  }

  void anEmptyStateShowsAllItsWords() {
    EmptyState empty("monitor", "Nothing", QString("These are some words that take more than one line. ").repeated(6), "Do it");
    empty.resize(900, 600);
    empty.show();
    QCoreApplication::processEvents();
    for (const QLabel* label : empty.findChildren<QLabel*>())
      if (label->wordWrap()) QVERIFY2(label->height() >= label->heightForWidth(label->width()), QByteArray::number(label->height()));
  }

  void aChartIsSavedAsPictureAndAsDrawing() {
    const lorikeet::test::ScratchFolder folder;
    Chart chart("Loss", AxisNumbers::plain);
    const int series = chart.addSeries("train", {});
    chart.setData(series, {1, 2, 3}, {3, 2, 1});
    chart.setFullRange(1, 3);
    const QString png = QString::fromStdString(folder.path("a.png")), svg = QString::fromStdString(folder.path("a.svg"));
    QVERIFY(chart.save(png));
    QVERIFY(!QImage(png).isNull());
    QVERIFY(chart.save(svg));
    QFile file(svg);
    QVERIFY(file.open(QIODevice::ReadOnly));
    const QByteArray text = file.readAll();
    QVERIFY(text.contains("Loss") && text.contains("polyline"));
    QVERIFY(!chart.save("/nowhere/a.svg"));
    QVERIFY(!chart.save("/nowhere/a.png"));
  }

  void aChartOfAHundredThousandPointsRedrawsInAFrame() {
    Chart chart("Loss", AxisNumbers::plain);
    const int series = chart.addSeries("train", {});
    QVector<double> x, y;
    for (int i = 0; i < 100000; ++i) x << i, y << std::sin(i * 0.01) + (i * 7919 % 1000) * 1e-3;
    chart.setData(series, x, y);
    chart.setFullRange(0, 100000);
    chart.resize(700, 400);
    chart.show();
    QTest::qWait(50);
    QElapsedTimer clock;
    clock.start();
    constexpr int kFrames = 20;
    for (int i = 0; i < kFrames; ++i) {
      chart.append(series, {100000.0 + i}, {1.0});
      chart.grab();
    }
    QVERIFY2(clock.elapsed() / kFrames < 50, QByteArray::number(clock.elapsed() / kFrames));
  }
};

LORIKEET_UI_TEST_MAIN(WidgetsTest)
#include "widgets_test.moc"
