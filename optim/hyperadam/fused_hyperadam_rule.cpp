#include "optim/hyperadam/hyperadam_rule.h"

namespace actgrad {

bool FusedHyperAdamRule::supports(const Options& options) {
  return options.integer("candidates") == 20 && options.flag("lstm") && options.flag("preprocessing") &&
         options.text("normalise") != "follow-up";
}

FusedHyperAdamRule::FusedHyperAdamRule(const Options& options, DType dtype, std::uint64_t seed, Device device)
    : HyperAdamRule(options, dtype, seed, device),
      reading_{.normalise_state = normalise_ == Normalise::code, .epsilon = epsilon_} {}

RuleState FusedHyperAdamRule::initial_state(std::int64_t n) const {
  return {{Variable(Tensor::zeros(kernels::hyperadam_state_shape(n), weights().dtype(), weights().device()))}};
}

kernels::HyperAdamWeights FusedHyperAdamRule::collect(Tensor (*of)(const Parameter&)) const {
  return {.preprocess_weight = of(*preprocess_weight_),
          .preprocess_bias = of(*preprocess_bias_),
          .state_input = of(*state_cell_.input),
          .state_hidden = of(*state_cell_.hidden),
          .state_bias = of(*state_cell_.bias),
          .adam_state = of(*adam_state_),
          .adam_momentum = of(*adam_momentum_),
          .adam_bias = of(*adam_bias_),
          .weight_weight = of(*weight_weight_),
          .weight_bias = of(*weight_bias_)};
}

Tensor FusedHyperAdamRule::direction(const Tensor& g, RuleState& state) const {
  Tensor d = Tensor::empty({g.numel()}, g.dtype(), g.device()), both = state.tensors.front().value();
  const auto values = collect([](const Parameter& parameter) { return parameter.value(); });
  kernels::hyperadam_forward(g, values, reading_, both, both, d, nullptr);
  ++state.steps;
  return d;
}

Variable FusedHyperAdamRule::step(Pass& pass, const Tensor& g, RuleState& state) const {
  const Variable old = state.tensors.front();
  const Tensor before = old.value();
  Tensor after = Tensor::empty(before.shape(), before.dtype(), before.device());
  Tensor d = Tensor::empty({g.numel()}, g.dtype(), g.device());
  const auto values = collect([](const Parameter& parameter) { return parameter.value(); });
  ++state.steps;
  if (!pass.tape) {
    kernels::hyperadam_forward(g, values, reading_, before, after, d, nullptr);
    state.tensors.front() = Variable(after);
    return Variable(d);
  }
  kernels::HyperAdamTrace trace = kernels::hyperadam_trace(g.numel(), g.dtype(), g.device());
  kernels::hyperadam_forward(g, values, reading_, before, after, d, &trace);
  const auto results = pass.tape->record(
      std::vector<Tensor>{after, d},
      [this, g, values, before, after, trace, dbefore = old.gradient()](const std::vector<Tensor>& gradients) {
        const auto given = [](const Tensor& gradient, const Tensor& like) {
          return gradient ? gradient : Tensor::zeros(like.shape(), like.dtype(), like.device());
        };
        const Tensor dafter = given(gradients[0], after), dd = given(gradients[1], g);
        Tensor to = dafter;  // where nobody wants the result, what is not needed any more takes it
        if (dbefore.wanted()) {
          const GradientTarget target = dbefore.target_in_place_of(dafter);
          ACTGRAD_CHECK(target.mode == Write::overwrite, "a state that is used twice");
          to = target.tensor;
        }
        auto dweights = collect([](const Parameter& parameter) {  // the kernel adds: what is new begins as 0
          GradientTarget target = parameter.variable.gradient_target();
          if (target.mode == Write::overwrite) target.tensor.fill_zero();
          return target.tensor;
        });
        kernels::hyperadam_backward(g, values, reading_, before, after, trace, dafter, dd, to, dweights);
      });
  state.tensors.front() = results[0];
  return results[1];
}

}  // namespace actgrad
