/// The exporter `peft`: adapter_config.json and adapter_model.safetensors in a folder of their own.
#pragma once
#include "core/export/exporter.h"

namespace lorikeet {

/// Tensors keep the type they have, bit for bit; `type` "f32" writes them as f32.
std::vector<ExportedFile> export_peft(const ExportInput& input, std::stop_token stop);

}  // namespace lorikeet
