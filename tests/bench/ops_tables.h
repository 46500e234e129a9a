/// The tables of ops_bench, one function each. Shapes are those of a SmolLM2-135M step.
#pragma once
#include "core/tensor/context.h"
#include "tests/bench/peaks.h"
#include "tests/bench/report.h"

namespace lorikeet::bench {

/// The type a training step keeps its rows in: bf16 where products are computed in bf16.
inline DType row_type(Context& cx) { return cx.unit().compute == ComputeType::bf16 ? DType::bf16 : DType::f32; }

// gemm_tables.cpp
/// gemm by unit and shape on one thread, as a share of that unit's loop in registers.
void gemm_table(Report& report, const Peaks& peaks, int64_t tokens);
/// Linear layers with and without adapter and dropout, forward and backward, beside a plain gemm split the same way.
void linear_table(Report& report, Context& cx, int64_t tokens);
/// Reading weights for one token: linears and attention against a cache.
void one_token_table(Report& report, Context& cx);

// quant_tables.cpp
/// Decoding of every weight format and every stored block type, by level, on one thread.
void decode_table(Report& report);
/// The same for the product with one token, where a format has a kernel for it.
void one_token_formats_table(Report& report);
/// Coding of every weight format by all threads.
void encode_table(Report& report, Context& cx);

// op_tables.cpp
/// Attention forward and backward by row length, with the rate of the arithmetic its formulas need (step_flops.h).
void attention_table(Report& report, Context& cx);
/// The head with its loss, beside a plain gemm.
void head_table(Report& report, Context& cx, int64_t tokens);
/// The ops between the products.
void op_table(Report& report, Context& cx, int64_t tokens);

/// GFLOP/s of a plain product of [tokens, in] and [out, in]^T by all threads, tokens split evenly: what a linear layer
/// is held against.
double gemm_rate(Context& cx, int64_t tokens, int64_t out, int64_t in);

}  // namespace lorikeet::bench
