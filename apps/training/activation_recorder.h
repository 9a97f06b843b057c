// The spread of every hidden layer's activations over the course of training (AdaAct paper, Figures 1, 4 and 8).
#pragma once

#include <string>

#include "layers/model.h"

namespace actgrad {

// A hidden layer's activations are what goes into the next weighted layer: so all weighted layers but the first are
// watched. One row per step: for each of them mean, smallest and largest variance of the units over the step's last
// batch (kernels/unit_variance.h).
class ActivationRecorder final : public Probe {
 public:
  ActivationRecorder(const Model& model, std::int64_t steps_per_epoch);

  void on_input(const WeightedLayer& layer, const Tensor& x) override;
  // Keeps what was seen last as row `step` of the epoch. Does not wait for the device.
  void end_step(std::int64_t step);

  std::string csv_header() const;  // "epoch,step,conv2 mean,conv2 smallest,conv2 largest,…"
  // Rows [first, last) of the epoch (counted from 1), as lines. Waits for the device.
  std::string csv_rows(std::int64_t epoch, std::int64_t first, std::int64_t last) const;

 private:
  std::vector<const WeightedLayer*> layers_;
  Tensor now_;     // (layers, 3) float64
  Tensor series_;  // (steps, layers, 3)
};

// Where the rows go: a file that grows by those of an epoch, or of the part of one that was done when a run stopped.
class ActivationFile {
 public:
  // A new file, or, of a run that goes on after `epochs` epochs and `steps` steps of the next, the rows up to there: a
  // process that was killed may have written more. Throws UserError when it cannot be read or written.
  ActivationFile(const std::string& path, const ActivationRecorder& recorder, std::int64_t epochs, std::int64_t steps);
  // Appends the rows of epoch `epoch` (from 1) that are not there yet, up to step `steps`; `complete`: the next ones
  // belong to the next epoch.
  void append(std::int64_t epoch, std::int64_t steps, bool complete);

 private:
  std::string path_;
  const ActivationRecorder& recorder_;
  std::int64_t written_;  // rows of the epoch under way
};

}  // namespace actgrad
