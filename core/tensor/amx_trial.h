/// One product by AMX tiles (TDPBF16PS, palette 1), whose result is known.
#pragma once

namespace lorikeet {

/// Computes it in a child process, which an instruction that does not work may kill. The system must have been asked for
/// the tile registers before.
bool tile_product_survives();

}  // namespace lorikeet
