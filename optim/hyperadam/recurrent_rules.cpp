#include "optim/hyperadam/recurrent_rules.h"

#include <cmath>

#include "kernels/gradient_encodings.h"
#include "layers/functions/activation.h"

namespace actgrad {

using kernels::Activation;

void RecurrentRule::add_layers(std::int64_t features) {
  const auto add_lstm = [&](const std::string& name, std::int64_t in) {
    const double bound = std::sqrt(6.0 / static_cast<double>(in + hidden + 4 * hidden));
    return LstmLayer{&add(name + ".weight_input", {4 * hidden, in}, Start::uniform, bound),
                     &add(name + ".weight_hidden", {4 * hidden, hidden}, Start::uniform, bound),
                     &add(name + ".bias", {4 * hidden})};
  };
  first_ = add_lstm("lstm1", features);
  second_ = add_lstm("lstm2", hidden);
  output_weight_ = &add("output.weight", {1, hidden}, Start::truncated_normal, 0.1);
  output_bias_ = &add("output.bias", {1});
}

Variable RecurrentRule::run_layers(Pass& pass, const Variable& x, RuleState& state) const {
  const LstmState first = first_(pass, x, state.tensors[0], state.tensors[1]);
  const LstmState second = second_(pass, first.h, state.tensors[2], state.tensors[3]);
  state.tensors[0] = first.c;
  state.tensors[1] = first.h;
  state.tensors[2] = second.c;
  state.tensors[3] = second.h;
  ++state.steps;
  return feature_linear(pass, {{output_weight_->variable, second.h}}, output_bias_->variable);
}

OptionTable RnnPropRule::options() {
  return {
      Option{"beta", 0.95, "decay of the moving averages of the gradient and of its square"}.range_open_high(0, 1).from(
          "HyperAdam's published code")};
}

RnnPropRule::RnnPropRule(const Options& options, DType dtype, std::uint64_t seed, Device device)
    : beta_(options.number("beta")) {
  preprocess_weight_ = &add("preprocess.weight", {hidden, 2}, Start::truncated_normal, 0.1);
  preprocess_bias_ = &add("preprocess.bias", {hidden});
  add_layers(hidden);
  assemble(dtype, seed, device);
}

Variable RnnPropRule::step(Pass& pass, const Tensor& g, RuleState& state) const {
  // The averages are constants of the tape: they move into tensors of their own.
  Tensor m = state.tensors[4].value().clone(), v = state.tensors[5].value().clone();
  Tensor features = Tensor::empty({2, g.numel()}, g.dtype(), g.device());
  const double correction = 1 - std::pow(beta_, static_cast<double>(state.steps + 1));
  kernels::rms_encoding(g, {beta_, correction}, m, v, features);
  state.tensors[4] = Variable(m);
  state.tensors[5] = Variable(v);
  const Variable x = activate(
      pass, feature_linear(pass, {{preprocess_weight_->variable, Variable(features)}}, preprocess_bias_->variable),
      Activation::elu);
  return scaled(pass, activate(pass, run_layers(pass, x, state), Activation::tanh), 0.1);
}

DmRule::DmRule(const Options&, DType dtype, std::uint64_t seed, Device device) {
  add_layers(2);
  assemble(dtype, seed, device);
}

Variable DmRule::step(Pass& pass, const Tensor& g, RuleState& state) const {
  Tensor features = Tensor::empty({2, g.numel()}, g.dtype(), g.device());
  kernels::log_encoding(g, features);
  return scaled(pass, run_layers(pass, Variable(features), state), -0.1);  // it adds what others subtract
}

}  // namespace actgrad
