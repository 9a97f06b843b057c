// Where the random numbers of one use within a training step come from: stream first + offset of a purpose.
#pragma once

#include "core/step_value.h"

namespace actgrad::kernels {

struct RandomStream {
  std::uint64_t seed;
  StepValue<std::uint64_t> first;  // of this training step
  std::uint64_t offset;            // of this use within it
};

}  // namespace actgrad::kernels
