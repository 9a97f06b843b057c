#include "optim/training_step.h"

#include "optim/gradients.h"

namespace actgrad {

TrainingStep::TrainingStep(Model& model, Optimizer& optimizer, bool record, double clip_norm)
    : model_(model),
      optimizer_(optimizer),
      records_(record && optimizer.recordable() && !model.parameters().device().is_cpu()),
      clip_norm_(clip_norm),
      runner_(model.parameters().device(), records_) {}

void TrainingStep::run(double lr, std::int64_t samples, std::int64_t micro_batches,
                       const std::function<void(const Pass&)>& gradients) {
  optimizer_.prepare(lr);
  if (!optimizer_.refreshes()) {
    runner_.run({samples, micro_batches, 2 * optimizer_.kind()}, [&] {
      take_gradients(gradients);
      update();
    });
    return;
  }
  // A refresh waits for the device, so it cannot be a part of a recording: what is before and behind it can.
  runner_.run({samples, micro_batches, 2 * optimizer_.kind()}, [&] { take_gradients(gradients); });
  optimizer_.refresh();
  runner_.run({0, 0, 2 * optimizer_.kind() + 1}, [&] { update(); });
}

void TrainingStep::take_gradients(const std::function<void(const Pass&)>& gradients) {
  bool primary_done = false;
  for (int pass = 0; pass < optimizer_.gradient_passes(); ++pass) {
    optimizer_.begin_pass(pass);
    model_.parameters().clear_gradients();
    const bool samples_labels = optimizer_.samples_labels(pass), primary = !samples_labels && !primary_done;
    primary_done |= primary;
    gradients({.training = true, .primary = primary, .samples_labels = samples_labels, .probe = &optimizer_});
  }
  if (clip_norm_ > 0) clip_gradients(model_.parameters(), clip_norm_);
}

void TrainingStep::update() {
  optimizer_.update();
  model_.parameters().clear_gradients();
}

}  // namespace actgrad
