/// The row shapes, one file each. To add one: write data/<format>.cpp with its function, declare it here and add one
/// line to dataset_formats.cpp.
#pragma once
#include "core/data/dataset.h"

namespace lorikeet {

const DatasetFormat* messages_format();
const DatasetFormat* sharegpt_format();
const DatasetFormat* alpaca_format();
const DatasetFormat* prompt_completion_format();
const DatasetFormat* question_answer_format();
const DatasetFormat* text_format();
const DatasetFormat* tokens_format();
const DatasetFormat* message_tree_format();

}  // namespace lorikeet
