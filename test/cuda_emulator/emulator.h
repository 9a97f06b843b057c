// What tests, and stand-ins of CUDA libraries, ask of the emulator itself. Kernels never include this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/error.h"

namespace actgrad::cuda_emulator {

// A kernel did what it must not: says what, the kernel, block and thread, and where known file and line.
class KernelError : public InternalError {
 public:
  explicit KernelError(const std::string& message) : InternalError(message) {}
};

// Whether this is the checker build: kernels' loads and stores are watched (checker.h).
bool checked();

// Whether a host's access to device memory faults: the processor has protection keys for pages.
bool host_is_kept_out();

// Whether streams do their work only when somebody waits for it: ACTGRAD_EMULATOR_LAZY is set.
bool lazy();

// The seed of the order in which blocks and threads run: of ACTGRAD_EMULATOR_SEED, else drawn, and printed with every
// error. The same seed and the same launches give the same order, with one worker also between blocks.
std::uint64_t seed();
// Starts again with this seed.
void set_seed(std::uint64_t seed);

// Declares that a library's stand-in reads or writes device memory, from the host, as a launch of its own would: throws
// KernelError unless [pointer, pointer + bytes) lies within one allocation; tells the checker that the bytes are
// written.
void library_reads(const void* pointer, std::size_t bytes);
void library_writes(void* pointer, std::size_t bytes);

}  // namespace actgrad::cuda_emulator
