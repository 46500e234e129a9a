/// An error as people read it: what happened, with the details a banner folds away. Values only; crosses threads.
#pragma once
#include <QString>
#include <exception>

namespace lorikeet::ui {

struct ErrorText {
  QString message;  // what failed, where, what was found, what to do
  QString kind;     // "input", "config", "io", ...
  QString file;
  QString key;      // dotted RunConfig key of a configuration error, else empty
  bool isEmpty() const { return message.isEmpty(); }
  /// Everything, for the clipboard.
  QString details() const;
};
/// Turns the exception in flight into text. Call inside a catch block only.
ErrorText describe_current_exception();

}  // namespace lorikeet::ui
