// One optimizer on its way down from a start.
#pragma once

#include <memory>

#include "apps/optimise/problem.h"
#include "optim/training_step.h"

namespace actgrad {

// optimizer_options(); a learned one's include weights-id, so that a run knows the weights that it was done with from
// later ones.
OptionTable descent_options(const std::string& optimizer, const std::string& base = "");

class Descent {
 public:
  // The optimizer, one of optimizer_names(), in its first state. The problem must outlive this. Throws UserError
  // when the weights of a learned optimizer cannot be read.
  Descent(const std::string& optimizer, const Options& options, Problem& problem);
  // One step on the problem's next batch; returns the loss before it.
  double step();
  std::size_t state_bytes() { return optimizer_->state_bytes(); }

 private:
  Problem& problem_;
  double lr_;
  std::unique_ptr<Optimizer> optimizer_;
  TrainingStep step_;
};

}  // namespace actgrad
