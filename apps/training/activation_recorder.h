// The spread of every hidden layer's activations over the course of training (AdaAct paper, Figures 1, 4 and 8).
#pragma once

#include "apps/training/step_recorder.h"
#include "layers/model.h"

namespace actgrad {

// A hidden layer's activations are what goes into the next weighted layer: so all weighted layers but the first are
// watched. One row per step: for each of them mean, smallest and largest variance of the units over the step's last
// batch (kernels/unit_variance.h).
class ActivationRecorder final : public Probe, public StepRecorder {
 public:
  ActivationRecorder(const Model& model, std::int64_t steps_per_epoch);

  void on_input(const WeightedLayer& layer, const Tensor& x) override;
  void end_step(std::int64_t step, double lr) override;  // keeps what was seen last

  std::string file_name() const override { return "activation_variance.csv"; }
  std::string csv_header() const override;  // "epoch,step,conv2 mean,conv2 smallest,conv2 largest,fc1 mean,…"
  std::string csv_rows(std::int64_t epoch, std::int64_t first, std::int64_t last) const override;

 private:
  std::vector<const WeightedLayer*> layers_;
  Tensor now_;     // (layers, 3) float64
  Tensor series_;  // (steps, layers, 3)
};

}  // namespace actgrad
