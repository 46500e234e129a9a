/// What the machine and this process are: memory, time, process ids.
#pragma once
#include <cstdint>
#include <string>

namespace lorikeet {

uint64_t total_memory_bytes();
/// Memory that can be had without swapping (MemAvailable, and the cgroup's limit when there is one).
uint64_t available_memory_bytes();
uint64_t resident_bytes();
uint64_t peak_resident_bytes();
/// Starts peak_resident_bytes() anew, where the system allows it.
void reset_peak_resident();

double monotonic_seconds();
/// Seconds since 1970 with fraction, for "time" fields only.
double wall_seconds();
/// "2026-11-23T14:02:11" local time; and a form for file names "20261123-140211".
std::string iso_time(double wall);
std::string file_time(double wall);
std::string host_name();

}  // namespace lorikeet
