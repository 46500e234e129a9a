/// The exporter `peft`: adapter_config.json and adapter_model.safetensors in a folder of their own.
#pragma once
#include "core/export/exporter.h"

namespace lorikeet {

const Exporter* peft_exporter();

}  // namespace lorikeet
