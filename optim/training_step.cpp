#include "optim/training_step.h"

#include <optional>

#include "optim/gradients.h"

namespace actgrad {
namespace {

class Both final : public Probe {
 public:
  Both(Probe& first, Probe& second) : first_(first), second_(second) {}
  void on_input(const WeightedLayer& layer, const Tensor& x) override {
    first_.on_input(layer, x);
    second_.on_input(layer, x);
  }
  bool wants_output_gradients() const override {
    return first_.wants_output_gradients() || second_.wants_output_gradients();
  }
  void on_output_gradient(const WeightedLayer& layer, const Tensor& dy) override {
    for (Probe* probe : {&first_, &second_})
      if (probe->wants_output_gradients()) probe->on_output_gradient(layer, dy);
  }

 private:
  Probe &first_, &second_;
};

}  // namespace

TrainingStep::TrainingStep(Model& model, Optimizer& optimizer, const Settings& settings)
    : model_(model),
      optimizer_(optimizer),
      clip_norm_(settings.clip_norm),
      watch_(settings.watch),
      records_(settings.record && optimizer.recordable() && !model.parameters().device().is_cpu()),
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
    std::optional<Both> both;
    if (watch_ && primary) both.emplace(optimizer_, *watch_);
    gradients({.training = true,
               .primary = primary,
               .samples_labels = samples_labels,
               .probe = both ? static_cast<Probe*>(&*both) : &optimizer_});
    if (clip_norm_ > 0) clip_gradients(model_.parameters(), clip_norm_);
  }
  optimizer_.end_passes();
}

void TrainingStep::update() {
  optimizer_.update();
  model_.parameters().clear_gradients();
}

}  // namespace actgrad
