#pragma once

#include "optim/optimizer.h"

namespace actgrad {

// SAM, sharpness-aware minimisation (Foret et al. 2021), around any other optimizer: a step uses the gradient of the
// same batch at the place ρ further uphill.
//
// State: that of the base optimizer. A copy of the parameters within a step.
class Sam final : public Optimizer {
 public:
  // Of SAM itself; the base optimizer's come behind them (optimizer_options).
  static OptionTable options();
  Sam(Model& model, const Options& options, std::unique_ptr<Optimizer> base);

  // The base optimizer looks at the passes whose gradient it gets.
  void on_input(const WeightedLayer& layer, const Tensor& x) override;
  bool wants_output_gradients() const override { return uphill_ && base_->wants_output_gradients(); }
  void on_output_gradient(const WeightedLayer& layer, const Tensor& dy) override {
    base_->on_output_gradient(layer, dy);
  }

  void prepare(double lr) override;
  int gradient_passes() const override { return 1 + base_->gradient_passes(); }
  void begin_pass(int pass) override;
  bool samples_labels(int pass) const override { return pass > 0 && base_->samples_labels(pass - 1); }
  void end_passes() override;
  bool refreshes() const override { return base_->refreshes(); }
  void refresh() override { base_->refresh(); }
  void update() override { base_->update(); }

  bool recordable() const override { return base_->recordable(); }
  int kind() const override { return base_->kind(); }
  std::int64_t period() const override { return base_->period(); }
  std::vector<NamedTensor> state() override { return base_->state(); }
  std::vector<NamedTensor> rates() override { return base_->rates(); }

 private:
  void climb();

  double rho_;
  std::unique_ptr<Optimizer> base_;
  bool uphill_ = false;
  Tensor start_;  // the parameters before the climb
};

}  // namespace actgrad
