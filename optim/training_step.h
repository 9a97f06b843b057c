// One training step from its beginning to its end: whatever the optimizer asks for, in the order in which it needs it.
#pragma once

#include <functional>

#include "core/recording.h"
#include "optim/optimizer.h"

namespace actgrad {

class TrainingStep {
 public:
  struct Settings {
    bool record = true;    // on a GPU, each kind of step is recorded once and replayed (if the optimizer is recordable)
    double clip_norm = 0;  // bound of the norm of all gradients together, before the optimizer sees them; 0: none
    Probe* watch = nullptr;  // sees, as the optimizer does, the pass of each micro-batch whose loss counts
  };
  // Both must outlive this.
  TrainingStep(Model& model, Optimizer& optimizer, const Settings& settings);

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
  double clip_norm_;
  Probe* watch_;
  bool records_;
  StepRunner runner_;
};

}  // namespace actgrad
