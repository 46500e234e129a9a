/// Whether AMX bf16 tiles can be used here, found out the hard way: what the CPU says, what the system allows, and one
/// product computed in a child process, so that a machine on which tiles do not work costs that child and nothing more.
#pragma once
#include <string>

namespace lorikeet {

/// Empty when usable, else one clause that says why not. Asks the system for the tile registers on behalf of the whole
/// process; call before other threads are started.
std::string amx_refusal();

}  // namespace lorikeet
