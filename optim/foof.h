#pragma once

#include <numeric>

#include "kernels/optimizer_steps.h"
#include "optim/curvature_factor.h"
#include "optim/layer_gradients.h"
#include "optim/optimizer.h"

namespace actgrad {

// FOOF, "fast first-order optimizer" (Benzing 2022; AdaAct paper, Eq. (3)): each layer's gradient is multiplied by the
// inverse of its inputs' damped covariance.
//
// State: the momentum; per weighted layer two matrices of (inputs)².
class Foof final : public Optimizer {
 public:
  static OptionTable options();
  Foof(Model& model, const Options& options);

  void on_input(const WeightedLayer& layer, const Tensor& x) override;
  void prepare(double lr) override;
  bool refreshes() const override { return refreshes_; }
  void end_passes() override;
  void refresh() override;
  void update() override;
  bool recordable() const override { return true; }
  int kind() const override { return 4 * inverts_for_next_ + 2 * refreshes_ + takes_statistics_; }
  std::int64_t period() const override { return std::lcm(t_cov_, t_inv_); }
  std::vector<NamedTensor> state() override;

 private:
  enum class Variant { canonical, cifar, original };
  struct Layer {
    const WeightedLayer* layer;
    CurvatureFactor a;
    Tensor inverse;           // P, (groups, n, n)
    Tensor next;              // original: the inverse that the next step uses
    double positions = 1;     // original: A is not a mean, but
    bool sums_batch = false;  // a sum over these
  };
  void invert(Tensor Layer::*inverse);
  void precondition();
  void update_original();

  Variant variant_;
  std::int64_t t_cov_, t_inv_, statistic_steps_;
  double weight_decay_, momentum_, keep_, damping_;
  bool takes_statistics_ = false, refreshes_ = false, inverts_for_next_ = false;
  DecayStep<kernels::SgdStep> step_;
  LayerGradients gradients_;
  std::vector<Layer> layers_;
  Tensor buffer_;   // the momentum of every parameter; undefined without momentum
  Tensor commits_;  // k: how many statistics are in the averages; on the CPU
};

}  // namespace actgrad
