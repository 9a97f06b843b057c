// How long a device would need at least for what a training step asks of it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"
#include "kernels/work.h"

namespace actgrad::bench {

// What a device can do at most, as measured here: memory that is copied (bytes read and written), multiply-adds that
// count as two operations, and matrix products at the precision of the day.
struct Peaks {
  double bytes_per_second = 0, flops_per_second = 0, product_flops_per_second = 0;
};
Peaks measure_peaks(Device device, DType dtype);

// What some training steps ask of a device. The figures are means of a step.
struct StepWork {
  std::int64_t steps = 1;
  std::uint64_t launches = 0;             // of kernels on a GPU, in all steps
  std::vector<kernels::NamedWork> calls;  // of all steps

  double launches_per_step() const { return static_cast<double>(launches) / static_cast<double>(steps); }
  double bytes() const;
  double flops() const;
  // The calls run one after another; each takes as long as its bytes or its arithmetic, whichever is longer.
  double roofline_ms(const Peaks& peaks) const;
};

}  // namespace actgrad::bench
