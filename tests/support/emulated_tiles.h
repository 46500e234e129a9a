/// AMX tiles on machines without them: linked into a program, emulated_tiles.cpp takes the place of the probe
/// (core/tensor/amx_probe.h), and where the unit is missing each tile instruction of the program's own machine code is
/// carried out by a handler of SIGILL. So what is checked is the code that ships, down to its encoding and its tile
/// configuration; only the unit is imitated, after the operation sections of the Intel SDM, volume 2.
#pragma once
#include <cstdint>

namespace lorikeet::test {

/// Whether this process does without the unit.
bool tiles_are_emulated();
/// Tile instructions carried out by the handler in this process so far.
int64_t emulated_tile_instructions();

}  // namespace lorikeet::test
