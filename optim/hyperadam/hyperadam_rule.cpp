#include "optim/hyperadam/hyperadam_rule.h"

#include <cmath>

#include "layers/functions/activation.h"
#include "layers/functions/adam_candidates.h"

namespace actgrad {

using kernels::Activation;

OptionTable HyperAdamRule::options() {
  const std::string code = "HyperAdam's published code";
  return {
      Option{"candidates", std::int64_t{20}, "J: how many candidates of Adam's direction each coordinate has"}
          .range(1, 256)
          .from("HyperAdam paper"),
      Option{"normalise", std::string("code"),
             "what is divided by its norm: code: s and m; paper: m; follow-up: s, m and the LSTM's inputs"}
          .one_of({"code", "paper", "follow-up"})
          .from(code),
      Option{"epsilon", std::string("inside"), "where 1e-24 stands: inside of the root, or outside (paper)"}
          .one_of({"inside", "outside"})
          .from(code),
      Option{"lstm", true, "off (ablation): no memory, the preprocessed gradient is the state"}.from(code),
      Option{"preprocessing", true, "off (ablation): the LSTM sees the normalised gradient itself"}.from(code),
  };
}

HyperAdamRule::HyperAdamRule(const Options& options, DType dtype, std::uint64_t seed, Device device)
    : candidates_(options.integer("candidates")),
      lstm_(options.flag("lstm")),
      preprocessing_(options.flag("preprocessing")),
      normalise_(choice<Normalise>(
          options, "normalise",
          {{"code", Normalise::code}, {"paper", Normalise::paper}, {"follow-up", Normalise::follow_up}})),
      epsilon_(choice<kernels::EpsilonPlace>(
          options, "epsilon",
          {{"inside", kernels::EpsilonPlace::inside}, {"outside", kernels::EpsilonPlace::outside}})) {
  // Glorot and Bengio's bound, of the matrix that acts on all inputs together.
  const auto glorot = [](std::int64_t in, std::int64_t out) { return std::sqrt(6.0 / static_cast<double>(in + out)); };
  const std::int64_t features = preprocessing_ ? hidden_ : 1, width = lstm_ ? hidden_ : features;
  if (preprocessing_) {
    preprocess_weight_ = &add("preprocess.weight", {hidden_, 1}, Start::truncated_normal, 0.1);
    preprocess_bias_ = &add("preprocess.bias", {hidden_});
  }
  if (lstm_) {
    const double bound = glorot(features + hidden_, 4 * hidden_);
    state_cell_ = {&add("state_cell.weight_input", {4 * hidden_, features}, Start::uniform, bound),
                   &add("state_cell.weight_hidden", {4 * hidden_, hidden_}, Start::uniform, bound),
                   &add("state_cell.bias", {4 * hidden_})};
  }
  const double bound = glorot(width + candidates_, 2 * candidates_);
  adam_state_ = &add("adam_cell.weight_state", {2 * candidates_, width}, Start::uniform, bound);
  adam_momentum_ = &add("adam_cell.weight_momentum", {2 * candidates_, candidates_}, Start::uniform, bound);
  adam_bias_ = &add("adam_cell.bias", {2 * candidates_});
  weight_weight_ = &add("weight_cell.weight", {candidates_, width}, Start::truncated_normal, 0.1);
  weight_bias_ = &add("weight_cell.bias", {candidates_});
  assemble(dtype, seed, device);
}

std::vector<std::int64_t> HyperAdamRule::state_features() const {
  const std::int64_t memory = lstm_ ? hidden_ : 0;
  return {memory, memory, candidates_, candidates_, candidates_, candidates_};
}

Variable HyperAdamRule::step(Pass& pass, const Tensor& g, RuleState& state) const {
  const Variable x = preprocess(pass, g);
  const Variable s = lstm_ ? state_cell(pass, x, state.tensors[0], state.tensors[1]) : x;
  const Variable candidates = adam_cell(pass, s, g, state);
  const Variable rho = weight_cell(pass, s);
  ++state.steps;
  return row_dot(pass, rho, candidates);
}

Variable HyperAdamRule::preprocess(Pass& pass, const Tensor& g) const {
  const Variable direction = row_normalise(pass, Variable(g.reshape({1, g.numel()})));
  if (!preprocessing_) return direction;
  return activate(pass, feature_linear(pass, {{preprocess_weight_->variable, direction}}, preprocess_bias_->variable),
                  Activation::elu);
}

Variable HyperAdamRule::state_cell(Pass& pass, const Variable& x, Variable& c, Variable& s) const {
  const bool normalised = normalise_ == Normalise::follow_up;
  const LstmState next =
      state_cell_(pass, normalised ? row_normalise(pass, x) : x, c, normalised ? row_normalise(pass, s) : s);
  c = next.c;
  s = next.h;
  return s;
}

Variable HyperAdamRule::adam_cell(Pass& pass, const Variable& s, const Tensor& g, RuleState& state) const {
  Variable &m = state.tensors[2], &v = state.tensors[3], &beta_hat = state.tensors[4], &gamma_hat = state.tensors[5];
  const Variable decay =
      feature_linear(pass,
                     {{adam_state_->variable, normalise_ == Normalise::paper ? s : row_normalise(pass, s)},
                      {adam_momentum_->variable, row_normalise(pass, m)}},
                     adam_bias_->variable);
  const AdamCandidates after = adam_candidates(pass, decay, g, {m, v, beta_hat, gamma_hat, {}}, epsilon_);
  m = after.m;
  v = after.v;
  beta_hat = after.beta_hat;
  gamma_hat = after.gamma_hat;
  return after.candidates;
}

Variable HyperAdamRule::weight_cell(Pass& pass, const Variable& s) const {
  return activate(pass, feature_linear(pass, {{weight_weight_->variable, s}}, weight_bias_->variable), Activation::elu);
}

}  // namespace actgrad
