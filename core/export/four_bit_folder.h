/// A model with 4-bit block linears as bitsandbytes serialises them: a Hugging Face folder that transformers loads
/// (formats.md 5.5). Embedding, head, norms and biases stay as stored; block types of a GGUF there become f32.
#pragma once
#include <functional>
#include <stop_token>
#include <string>

#include "core/export/exporter.h"
#include "core/io/model_files.h"

namespace lorikeet {

struct FourBitFolder {
  std::vector<ExportedFile> files;
  std::vector<std::string> warnings;
};
/// `format` nf4 | fp4. Writes config.json, model.safetensors (or shards of 2 GB and an index), the tokenizer's files
/// (built from a GGUF's metadata where they can be) into the new folder `out`. Warnings say what is missing.
/// Throws RunError when `out` is not empty or the model's settings cannot be said in config.json, Interrupted.
FourBitFolder write_four_bit_folder(const ModelFiles& files, Context& cx, const std::string& format,
                                    const QuantOptions& options, const std::string& out, std::stop_token stop,
                                    const std::function<void(double done, double total)>& progress = {});

}  // namespace lorikeet
