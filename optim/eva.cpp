#include "optim/eva.h"

#include "kernels/augmented.h"
#include "kernels/elementwise.h"
#include "kernels/row_means.h"

namespace actgrad {

OptionTable Eva::options() {
  const std::string choice = "our choice", code = "published code of Eva";
  return {
      Option{"lr", 0.1, "learning rate"}.at_least(0).from(choice),
      Option{"momentum", 0.9, "share of the previous update that is kept"}.range_open_high(0, 1).from(choice),
      Option{"weight-decay", 5e-4, "L2: added to the gradient"}.at_least(0).from(choice),
      Option{"damping", 0.03, "added to the curvature"}.above(0).from(code),
      Option{"kl-clip", 1e-3, "bound of the change that an update makes to the model's predictions; 0: none"}
          .at_least(0)
          .from(code),
      Option{"statistic-decay", 0.05, "share of the old means that stays at each step"}.range_open_high(0, 1).from(
          code),
      Option{"form", std::string("joint"), "separate: the two factors are damped and inverted one by one"}
          .one_of({"joint", "separate"})
          .from(code),
  };
}

Eva::Eva(Model& model, const Options& options)
    : Optimizer(model, options),
      momentum_(options.number("momentum")),
      weight_decay_(options.number("weight-decay")),
      damping_(options.number("damping")),
      kl_clip_(options.number("kl-clip")),
      keep_(options.number("statistic-decay")),
      form_(options.text("form") == "joint" ? kernels::RankOne::joint : kernels::RankOne::separate),
      rate_(parameters_.device()),
      step_(parameters_.device(), decay_1d_),
      gradients_(model) {
  if (momentum_ != 0) buffer_ = parameters_.zeros_like();
  for (const LayerGradients::Layer& l : gradients_.layers()) {
    const std::int64_t groups = l.layer->groups();
    const auto zeros = [&](std::int64_t n) { return Tensor::zeros({groups, n}, model.dtype(), parameters_.device()); };
    const std::int64_t inputs = l.layer->columns(), outputs = l.layer->out() / groups;
    Tensor ones = Tensor::empty({groups}, model.dtype(), parameters_.device());
    kernels::fill(ones, 1);
    layers_.push_back({l.layer, BatchStatistic(zeros(inputs)), BatchStatistic(zeros(outputs)), zeros(inputs),
                       zeros(outputs), l.layer->bias() ? ones : Tensor(), zeros(l.layer->columns_with_bias())});
  }
}

void Eva::prepare(double lr) {
  Optimizer::prepare(lr);
  rate_.set(lr);
  step_.set({.lr = lr, .momentum = momentum_, .weight_decay = weight_decay_});
}

// a = the mean of the inputs over batch and positions
void Eva::on_input(const WeightedLayer& layer, const Tensor& x) {
  state_of(layers_, layer).batch_a.add(layer.rows(x), [&](Tensor& mean) { layer.write_input_mean(x, mean); });
}

// b = the mean of the output gradients over batch and positions
void Eva::on_output_gradient(const WeightedLayer& layer, const Tensor& dy) {
  state_of(layers_, layer).batch_b.add(dy.numel() / dy.dim(-1), [&](Tensor& mean) {
    Tensor flat = mean.reshape({mean.numel()});
    kernels::mean_of_rows(dy, flat);
  });
}

void Eva::update() {
  const double keep = steps_ == 1 ? 0 : keep_;
  gradients_.gather();
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Layer& state = layers_[i];
    LayerGradients::Layer& l = gradients_.layers()[i];
    if (!l.used()) continue;
    for (auto [average, batch] : {std::pair(&state.a, &state.batch_a), std::pair(&state.b, &state.batch_b)}) {
      kernels::mix(*average, keep, batch->mean(), 1 - keep);
      batch->clear();
    }
    kernels::join_bias(state.a, state.ones, state.augmented);  // ã = [a ; 1]
    kernels::rank_one_direction(l.gradient, state.b, state.augmented, damping_, form_, l.direction);
  }
  if (kl_clip_ > 0) kernels::kl_clip(gradients_.directions(), gradients_.gradients(), rate_, kl_clip_);
  gradients_.scatter();
  update_all(kernels::sgd_step, step_, buffer_);  // momentum and weight decay, of all parameters
}

std::vector<NamedTensor> Eva::state() {
  std::vector<NamedTensor> state;
  if (buffer_) state.push_back({"momentum", buffer_});
  for (Layer& layer : layers_) {
    state.push_back({"mean_input." + layer.layer->name(), layer.a});
    state.push_back({"mean_output_gradient." + layer.layer->name(), layer.b});
  }
  return state;
}

}  // namespace actgrad
