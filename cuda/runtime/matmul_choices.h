/// Which algorithm was fastest for a product's shape, kept in a file per device (lines of JSON) so that each shape is timed
/// once on a machine and has the same bits in every run. An algorithm is named by a number that only its library knows:
/// a name that is not among those it offers is no choice, so a broken or foreign file can do no harm.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace lorikeet::cuda {

class MatmulChoices {
 public:
  /// Reads `path`; lines that are broken or of another `library` (its version) are passed over.
  MatmulChoices(std::string path, std::string library);
  std::optional<uint64_t> find(const std::string& shape) const;
  /// Also appends it to the file, which may fail without a word: then the shape is timed again next time.
  void keep(const std::string& shape, uint64_t algorithm);

 private:
  std::string path_, library_;
  std::map<std::string, uint64_t> choices_;
  bool start_anew_ = false;  // the file is too large, or none of ours
};
/// The file of a device in the user's cache folder.
std::string matmul_choices_path(const std::string& device_name);

}  // namespace lorikeet::cuda
