/// Fills the CPU place of every op's slot. Called once at start-up by each program and test, before any thread.
#pragma once
namespace lorikeet {
void register_cpu_kernels();
}
