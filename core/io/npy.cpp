// One header line that NumPy reads, then the values row by row.
#include "core/io/npy.h"

#include <bit>

#include "core/base/error.h"
#include "core/base/files.h"

namespace lorikeet {

static_assert(std::endian::native == std::endian::little, "files are little-endian and written without swapping");

void write_npy(const std::string& path, const Tensor& f32) {
  if (f32.dtype() != DType::f32)
    throw DTypeError("write_npy: f32 is wanted, got " + std::string(dtype_name(f32.dtype())));
  std::string shape;
  for (const int64_t axis : f32.shape()) shape += std::to_string(axis) + ",";
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
  // Magic, version and length take 10 bytes; with the header they fill whole 64-byte lines, the last byte a newline.
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  std::string start("\x93NUMPY\x01\x00", 8);
  start += static_cast<char>(header.size() & 0xff);
  start += static_cast<char>(header.size() >> 8);
  AtomicFile file(path);
  file.write(start);
  file.write(header);
  const Tensor whole = f32.contiguous() ? f32 : f32.clone();
  file.write(whole.raw(), whole.bytes());
  file.commit();
}

}  // namespace lorikeet
