#pragma once

#include <numeric>

#include "kernels/optimizer_steps.h"
#include "optim/curvature_factor.h"
#include "optim/kfac_normalization.h"
#include "optim/layer_gradients.h"
#include "optim/optimizer.h"

namespace actgrad {

// KFAC (Martens and Grosse 2015; convolutions: Grosse and Martens 2016; AdaAct paper, Eq. (2)): each layer's Fisher
// matrix is taken for the Kronecker product of the covariances of its inputs, A, and of its output gradients, G. The
// defaults are the version of AdaAct's authors; the options give the other published ones.
//
// State: the momentum; per weighted layer two matrices of (inputs)² and two of (outputs)².
class Kfac final : public Optimizer {
 public:
  static OptionTable options();
  Kfac(Model& model, const Options& options);

  void on_input(const WeightedLayer& layer, const Tensor& x) override;
  bool wants_output_gradients() const override { return takes_statistics_ && pass_ == 0; }
  void on_output_gradient(const WeightedLayer& layer, const Tensor& dy) override;

  void prepare(double lr) override;
  int gradient_passes() const override { return sampled_labels_ && takes_statistics_ ? 2 : 1; }
  void begin_pass(int pass) override { pass_ = pass; }
  bool samples_labels(int pass) const override { return gradient_passes() == 2 && pass == 0; }
  void end_passes() override;
  bool refreshes() const override { return refreshes_; }
  void refresh() override;
  void update() override;
  bool recordable() const override { return true; }
  int kind() const override { return 2 * refreshes_ + takes_statistics_; }
  std::int64_t period() const override { return std::lcm(t_cov_, t_inv_); }
  std::vector<NamedTensor> state() override;

 private:
  // One side of the Kronecker product.
  struct Side {
    CurvatureFactor factor;
    Tensor solved;                     // eigenvectors, or the damped inverse
    Tensor eigenvalues;                // (groups, n); undefined with inverses
    double positions = 1, images = 0;  // of the statistic: output positions of each image; images of the whole step
  };
  struct Layer {
    const WeightedLayer* layer;
    Side a, g;
  };
  Side make_side(std::int64_t groups, std::int64_t n, DType dtype) const;
  void add_inverses(Layer& layer, std::vector<DampedInverse>& problems) const;
  void precondition(Layer& layer, LayerGradients::Layer& l) const;

  FactorNormalization normalization_;
  bool eigen_, split_, sampled_labels_, delay_decay_;
  std::int64_t t_cov_, t_inv_;
  double momentum_, weight_decay_, keep_, damping_, kl_clip_;
  bool takes_statistics_ = false, refreshes_ = false;
  int pass_ = 0;
  StepValue<double> rate_;
  DecayStep<kernels::SgdStep> step_;
  Tensor buffer_;  // the momentum of every parameter; undefined without momentum
  LayerGradients gradients_;
  std::vector<Layer> layers_;
};

}  // namespace actgrad
