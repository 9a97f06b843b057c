// bench step: the time of whole training steps.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "apps/bench/roofline.h"
#include "core/dtype.h"
#include "kernels/conv2d.h"

namespace actgrad::bench {

struct StepSettings {
  std::string model;
  std::vector<std::string> optimizers;
  std::int64_t batch_size = 128;
  std::int64_t steps = 50;  // of each optimizer, after the warm-up
  std::int64_t warmup = 5;
  DType dtype = DType::float32;
  kernels::ConvEngine engine = kernels::ConvEngine::automatic;
  Device device = {};
  bool record = true;  // steps on a GPU are recorded once and replayed
};

struct StepResult {
  std::string optimizer;
  double median_ms = 0, min_ms = 0, max_ms = 0;
  // Medians; statistics of the activations count as forward. All 0 for recorded steps, which have no parts.
  double forward_ms = 0, backward_ms = 0, optimizer_ms = 0;
  double images_per_second = 0;       // from the median
  double ratio_to_first = 1;          // median over the blocks of (this optimizer's median / the first one's)
  std::size_t peak_memory_bytes = 0;  // of tensors: model, optimizer, batch and activations
  std::size_t state_bytes = 0;        // of what the optimizer keeps from step to step
  StepWork work;                      // of one step
  double roofline_ms = 0;
};

struct StepReport {
  std::vector<StepResult> results;
  Peaks peaks;
};

// Steps on one fixed batch of random images. Several optimizers take turns in blocks of a few steps, so that all see
// the same state of the machine. Throws UserError for unknown names.
StepReport bench_step(const StepSettings& settings);

}  // namespace actgrad::bench
