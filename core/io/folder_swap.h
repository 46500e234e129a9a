/// A folder that appears complete or not at all: written under another name beside it, then put in place in one step.
#pragma once
#include <string>

namespace lorikeet {

class FolderSwap {
 public:
  /// Makes the temporary folder beside `target`. Throws IoError; RunError when target is a link or a file.
  explicit FolderSwap(const std::string& target);
  /// Without commit() nothing is left.
  ~FolderSwap();
  FolderSwap(const FolderSwap&) = delete;
  FolderSwap& operator=(const FolderSwap&) = delete;
  const std::string& path() const { return temporary_; }
  /// Brings the files to the disk and gives the folder its name. A folder already there is exchanged in one step and
  /// removed; files in it that the new one lacks are moved over.
  void commit();

 private:
  std::string target_, temporary_;
};

}  // namespace lorikeet
