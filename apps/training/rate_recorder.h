// How the rates of a method with one rate per input move (AdaAct paper, assumption A5, Theorem 5.5 and Figure 5).
#pragma once

#include <vector>

#include "apps/training/step_recorder.h"
#include "optim/optimizer.h"

namespace actgrad {

// With P_t the rates of all layers after step t as one vector, and η_t the learning rate, a row per step:
//   rate increase: max_j (η_t P_t,j − η_(t−1) P_(t−1),j);   rate change: ‖η_t P_t − η_(t−1) P_(t−1)‖₁
// and both without η. The first step has none.
class RateRecorder final : public StepRecorder {
 public:
  // Throws UserError when the optimizer has no such rates.
  RateRecorder(Optimizer& optimizer, std::int64_t steps_per_epoch);

  void start(std::int64_t step, double lr) override;
  void end_step(std::int64_t step, double lr) override;
  std::string file_name() const override { return "effective_rates.csv"; }
  std::string csv_header() const override;
  std::string csv_rows(std::int64_t epoch, std::int64_t first, std::int64_t last) const override;

 private:
  void keep(std::int64_t row, double lr);

  Optimizer& optimizer_;
  std::int64_t inputs_;
  Tensor series_;           // (1 + steps per epoch, inputs): row i is P before step i
  std::vector<double> lr_;  // of the steps that led there
  bool first_step_ = false;
};

// P itself, at the end of each epoch: what two runs are compared by.
class PreconditionerRecorder final : public StepRecorder {
 public:
  PreconditionerRecorder(Optimizer& optimizer, std::int64_t steps_per_epoch)
      : optimizer_(optimizer), steps_per_epoch_(steps_per_epoch) {}

  void end_step(std::int64_t, double) override {}
  std::string file_name() const override { return "preconditioner.csv"; }
  std::string csv_header() const override;  // "epoch,step,conv1 0,conv1 1,…"
  std::int64_t rows(std::int64_t first, std::int64_t last) const override;
  std::string csv_rows(std::int64_t epoch, std::int64_t first, std::int64_t last) const override;

 private:
  Optimizer& optimizer_;
  std::int64_t steps_per_epoch_;
};

}  // namespace actgrad
