// One training step from its beginning to its end: whatever the optimizer asks for, in the order in which it needs it.
#pragma once

#include <functional>

#include "core/recording.h"
#include "optim/optimizer.h"

namespace actgrad {

class TrainingStep {
 public:
  // Both must outlive this. record: on a GPU, each kind of step is recorded once and replayed (if the optimizer is
  // recordable). clip_norm: largest norm of the gradients that the optimizer updates from; 0: any.
  TrainingStep(Model& model, Optimizer& optimizer, bool record = true, double clip_norm = 0);

  // `gradients` takes the loss of all the step's micro-batches forward and backward, each in a pass made from the one
  // it is given: several times if the optimizer wants several gradients. On a GPU it is not called when the work was
  // recorded in an earlier step of the same kind: that of as many samples in as many micro-batches.
  void run(double lr, std::int64_t samples, std::int64_t micro_batches,
           const std::function<void(const Pass&)>& gradients);

  bool records() const { return records_; }

 private:
  void take_gradients(const std::function<void(const Pass&)>& gradients);
  void update();

  Model& model_;
  Optimizer& optimizer_;
  bool records_;
  double clip_norm_;
  StepRunner runner_;
};

}  // namespace actgrad
