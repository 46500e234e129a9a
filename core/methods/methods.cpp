/// The list of fine-tuning methods. To add one: write methods/<name>.cpp and add its line here.
#include "core/methods/lora.h"
#include "core/methods/method.h"

namespace lorikeet {

const Registry<const Method*>& methods() {
  static const Registry<const Method*> list("adapter.method", {
                                                                  {"lora", lora_method()},
                                                              });
  return list;
}

}  // namespace lorikeet
