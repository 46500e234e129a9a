/// The method "lora"; see lora.cpp. Everything else about it goes through method.h.
#pragma once
#include "core/methods/method.h"

namespace lorikeet {

const Method* lora_method();

}  // namespace lorikeet
