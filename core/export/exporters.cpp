// The list of exporters. To add one: write export/<name>.cpp, declare it in its header and add its line here.
#include "core/export/exporter.h"
#include "core/export/peft.h"

namespace lorikeet {

const Registry<Exporter>& exporters() {
  static const Registry<Exporter> list("export format", {
                                                            {"peft", &export_peft},
                                                        });
  return list;
}

}  // namespace lorikeet
