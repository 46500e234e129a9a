// The list of row shapes. To add one: see formats.h.
#include "core/data/formats.h"

namespace lorikeet {

const Registry<const DatasetFormat*>& dataset_formats() {
  static const Registry<const DatasetFormat*> all("data format", {
                                                                     {"messages", messages_format()},
                                                                     {"sharegpt", sharegpt_format()},
                                                                     {"alpaca", alpaca_format()},
                                                                     {"prompt_completion", prompt_completion_format()},
                                                                     {"question_answer", question_answer_format()},
                                                                     {"text", text_format()},
                                                                     {"tokens", tokens_format()},
                                                                     {"message_tree", message_tree_format()},
                                                                 });
  return all;
}

}  // namespace lorikeet
