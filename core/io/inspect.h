/// What a path is, said only after all of it was checked.
#pragma once
#include <string>

#include "core/base/json.h"

namespace lorikeet {

/// The keys of interface.md `inspect`: kind (model, adapter, run, tokenizer, data), architecture, parameters,
/// context_length, formats {type: {tensors, bytes}}, tokenizer, chat_template, warnings[]. For a model the tokenizer
/// and the chat template are parsed and every scale and plain value is looked at. Files that look like text are
/// {"kind": "data"}: what is in them is for core/data to say. Throws InputError for a bad or unknown file.
Json inspect_file_or_folder(const std::string& path);

}  // namespace lorikeet
