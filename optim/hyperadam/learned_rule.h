// Learned optimizers as differentiable functions: a small network that every coordinate of the parameters shares turns
// gradients into steps. Its weights are learned by training it to train (optim/hyperadam/unroll.h).
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/options.h"
#include "core/parameters.h"
#include "core/safetensors.h"
#include "layers/functions/feature_rows.h"
#include "layers/functions/lstm.h"

namespace actgrad {

// What a rule remembers of n coordinates: matrices (features, n), zeros before the first step.
struct RuleState {
  std::vector<Variable> tensors;
  std::int64_t steps = 0;  // done so far
};

class LearnedRule {
 public:
  virtual ~LearnedRule() = default;

  // One step for all n coordinates together: the direction d, n numbers, of w ← w − lr·d, and the next state in place
  // of `state`. g (n) counts as a constant: no gradient flows through it (Andrychowicz et al. 2016).
  virtual Variable step(Pass& pass, const Tensor& g, RuleState& state) const = 0;
  // The same at work, without a tape: the state's tensors may be written in place.
  virtual Tensor direction(const Tensor& g, RuleState& state) const {
    Pass pass;
    return step(pass, g, state).value();
  }
  // Whether direction() can be recorded and replayed (core/recording.h).
  virtual bool recordable() const { return false; }
  // Features of the state's tensors.
  virtual std::vector<std::int64_t> state_features() const = 0;

  virtual RuleState initial_state(std::int64_t n) const;
  ParameterSet& weights() { return weights_; }
  const ParameterSet& weights() const { return weights_; }

  // Weights under their names. load() throws UserError, leaving them as they were, for a tensor that is missing, has
  // another shape or is not known; `origin` starts the message.
  std::vector<NamedTensor> named_weights() const;
  void load(const std::vector<NamedTensor>& tensors, const std::string& origin);

 protected:
  // How a weight begins: N(0, spread²) within two spreads, uniform in ±spread, or zero.
  enum class Start { truncated_normal, uniform, zero };
  Parameter& add(const std::string& name, const Shape& shape, Start start = Start::zero, double spread = 0);
  // Behind the last add(): allocates the weights and gives them their first values.
  void assemble(DType dtype, std::uint64_t seed, Device device);

 private:
  std::deque<Parameter> parameters_;  // addresses stay
  struct First {
    Start start;
    double spread;
  };
  std::vector<First> firsts_;
  ParameterSet weights_;
};

// An LSTM layer with its weights: gates = W_x x + W_h h + b, then kernels/lstm.h.
class LstmLayer {
 public:
  Parameter *input, *hidden, *bias;
  LstmState operator()(Pass& pass, const Variable& x, const Variable& c, const Variable& h) const {
    const Variable gates = feature_linear(pass, {{input->variable, x}, {hidden->variable, h}}, bias->variable);
    return lstm(pass, gates, c, /*forget_bias=*/1);
  }
};

// hyperadam, rnnprop, dm; the options that decide a rule's shape and reading. `fused`: where there is an implementation
// that does the same faster, that one.
std::vector<std::string> learned_rule_names();
std::string learned_rule_help(const std::string& name);
OptionTable learned_rule_options(const std::string& name);
std::unique_ptr<LearnedRule> make_learned_rule(const std::string& name, const Options& options, DType dtype,
                                               std::uint64_t seed, Device device = {}, bool fused = true);

}  // namespace actgrad
