// The emulator's threads: the blocks of a launch are spread over them. Never the caller's thread: the thread-locals
// that shared memory is made of are cleared for every block.
#pragma once

#include <memory>

#include "test/cuda_emulator/launch.h"

namespace actgrad::cuda_emulator {

// Runs a kernel to its end; throws KernelError for the first mistake.
void run_kernel(const Shape& shape, const std::shared_ptr<const KernelCall>& call);

}  // namespace actgrad::cuda_emulator
