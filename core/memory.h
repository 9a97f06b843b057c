// Caching allocator: training asks for the same sizes at every step, so freed blocks are kept and handed out
// again, and after the first step of a run nothing is asked from the system any more.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/device.h"

namespace actgrad {

// Of one device: bytes and calls since the start of the process (peak_bytes: since reset_peak_memory()).
struct MemoryStatistics {
  std::size_t bytes_in_use = 0;          // held by live tensors and scratch
  std::size_t peak_bytes = 0;            // the most that bytes_in_use has been
  std::size_t bytes_reserved = 0;        // taken from the system: in use + kept for reuse
  std::uint64_t system_allocations = 0;  // how often the system was asked
};

MemoryStatistics memory_statistics(Device device = {});
void reset_peak_memory(Device device = {});

// Returns every cached block that is not in use to the system.
void release_cached_memory(Device device = {});

namespace detail {
// At least `bytes` bytes, aligned to 64 bytes (a cache line and an AVX-512 register), not initialised. Thread-safe.
// Memory of a CUDA device may be handed out again while the device still reads it: all its work is done in order.
// Throws std::bad_alloc, or UserError where a device's memory is too small.
void* allocate(std::size_t bytes, Device device = {});
void deallocate(void* memory, std::size_t bytes, Device device = {}) noexcept;  // `bytes` as asked for in allocate
}  // namespace detail

}  // namespace actgrad
