// Caching allocator: training asks for the same sizes at every step, so freed blocks are kept and handed out
// again, and after the first step of a run nothing is asked from the system any more.
#pragma once

#include <cstddef>
#include <cstdint>

namespace actgrad {

// Bytes and calls since the start of the process (peak_bytes: since reset_peak_memory()).
struct MemoryStatistics {
  std::size_t bytes_in_use = 0;          // held by live tensors and scratch
  std::size_t peak_bytes = 0;            // the most that bytes_in_use has been
  std::size_t bytes_reserved = 0;        // taken from the system: in use + kept for reuse
  std::uint64_t system_allocations = 0;  // how often the system was asked
};

MemoryStatistics memory_statistics();
void reset_peak_memory();

// Returns every cached block that is not in use to the system.
void release_cached_memory();

namespace detail {
// At least `bytes` bytes, aligned to 64 bytes (a cache line and an AVX-512 register), not initialised.
// Throws std::bad_alloc. Thread-safe.
void* allocate(std::size_t bytes);
void deallocate(void* memory, std::size_t bytes) noexcept;  // `bytes` as asked for in allocate
}  // namespace detail

}  // namespace actgrad
