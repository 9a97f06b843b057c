// Stands before the toolkit's header of this name when .cu files are compiled by the C++ compiler: the toolkit's types
// and the runtime's functions, then what nvcc would add: qualifiers, coordinates, barriers, warp operations, atomics.
#pragma once

#include_next <cuda_runtime.h>
#include <cmath>  // before the macros of intrinsics.h, which bear names that this header declares

#define ACTGRAD_CUDA_EMULATOR 1

// A block runs on one worker thread, so a block's variable is a thread's. `extern __shared__` does not compile:
// kernels/cuda/launch.h has ACTGRAD_DYNAMIC_SHARED for it.
#undef __shared__
#define __shared__ static thread_local
#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __grid_constant__
#define __grid_constant__

#include "test/cuda_emulator/device.h"
#include "test/cuda_emulator/intrinsics.h"
#include "test/cuda_emulator/launch.h"
