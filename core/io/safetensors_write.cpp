// Writing in the reference writer's form: compact header padded to 8 bytes, wide types first, tensors back to back.
#include <algorithm>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/io/safetensors.h"
#include "core/io/safetensors_header.h"

namespace lorikeet {
namespace {

using Named = std::pair<std::string, Tensor>;

std::vector<const Named*> in_file_order(const std::vector<Named>& tensors) {
  std::vector<const Named*> order;
  for (const Named& n : tensors) order.push_back(&n);
  std::sort(order.begin(), order.end(), [](const Named* a, const Named* b) {
    const int rank_a = detail::safetensors_order(safetensors_dtype(a->second.dtype()));
    const int rank_b = detail::safetensors_order(safetensors_dtype(b->second.dtype()));
    return rank_a != rank_b ? rank_a > rank_b : a->first < b->first;
  });
  for (size_t i = 1; i < order.size(); ++i)
    if (order[i - 1]->first == order[i]->first)
      throw RunError("safetensors: the tensor \"" + order[i]->first + "\" was given twice");
  return order;
}

std::string header_text(const std::vector<const Named*>& order, std::map<std::string, std::string> metadata) {
  metadata.emplace("format", "pt");
  Json header = Json::object();
  for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
  std::string text = dump_json(header);
  text.pop_back();  // the tensors follow by hand: an ordered object looks every new key up
  uint64_t at = 0;
  for (const Named* n : order) {
    const uint64_t end = at + n->second.bytes();
    text += ',';
    text += dump_json(n->first);
    text += ':';
    text += dump_json(Json{
        {"dtype", safetensors_dtype(n->second.dtype())}, {"shape", n->second.shape()}, {"data_offsets", {at, end}}});
    at = end;
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

std::string write_safetensors(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                              std::map<std::string, std::string> metadata) {
  const auto order = in_file_order(tensors);
  const std::string header = header_text(order, std::move(metadata));
  AtomicFile file(path);
  char length[8];
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(static_cast<uint64_t>(header.size()) >> (8 * i) & 0xff);
  file.write(length, sizeof length);
  file.write(header);
  for (const Named* n : order) {
    const Tensor here = n->second.on(DeviceType::cpu), whole = here.contiguous() ? here : here.clone();
    file.write(whole.raw(), whole.bytes());
  }
  file.commit();
  return sha256_of_file(path);
}

}  // namespace lorikeet
