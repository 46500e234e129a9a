/// How attention's backward on rows of bf16 is shared out, and what it holds beside its results for it.
#pragma once
#include <cstdint>
#include <vector>

namespace lorikeet {

constexpr int64_t kAttentionPartRows = 64;
/// First keys of the chunks of a document of `rows` tokens, and its end: whole blocks of kAttentionPartRows, of even work
/// for causal attention, and as many chunks as give the heads together some 16 tasks.
std::vector<int64_t> attention_chunks(int64_t rows, int64_t kv_heads);
/// Numbers between the rows of a part of dq^T with `rows` columns: never a multiple of a cache's 4096 bytes.
int64_t attention_part_stride(int64_t rows);
/// Bytes of all parts of dq for a document of `rows` tokens.
int64_t attention_part_bytes(int64_t rows, int64_t heads, int64_t kv_heads, int64_t head_dim);

}  // namespace lorikeet
