// The list of exporters. To add one: write export/<name>.cpp, declare it in its header and add its line here.
#include "core/export/exporter.h"
#include "core/export/peft.h"

namespace lorikeet {

const Registry<const Exporter*>& exporters() {
  static const Registry<const Exporter*> list("export format", {
      {"peft", peft_exporter()},
  });
  return list;
}

}  // namespace lorikeet
