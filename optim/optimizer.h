// Optimizers: objects that turn gradients, and what they saw of the activations, into an update of the parameters.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/options.h"
#include "core/safetensors.h"
#include "core/step_value.h"
#include "layers/model.h"

namespace actgrad {

// The options that every optimizer has but the learned ones: the factory adds them to each one's table.
//   decay-1d: whether weight decay acts on vectors (biases, normalisation's scales and shifts) too.
OptionTable common_optimizer_options();

// The numbers of a step as kernels read them, twice: for the parameters that decay, and with weight decay 0 for the
// rest (none, where vectors decay too).
template <class S>
class DecayStep {
 public:
  DecayStep(Device device, bool all_decay) : decaying_(device), all_decay_(all_decay) {
    if (!all_decay) constant_ = StepValue<S>(device);
  }
  void set(S step) {
    decaying_.set(step);
    if (all_decay_) return;
    step.weight_decay = 0;
    constant_.set(step);
  }
  const StepValue<S>& of(bool decays) const {
    ACTGRAD_CHECK(decays || !all_decay_, "a step that decays everything");
    return decays ? decaying_ : constant_;
  }

 private:
  StepValue<S> decaying_, constant_;
  bool all_decay_;
};

// An optimizer is a Probe: attach it to a training pass (Pass::probe) and the layers show it their inputs.
// One training step (optim/training_step.h): prepare(), then forward and backward passes of one or more micro-batches,
// then end_passes(), refresh() if wanted, and update(). Most optimizers need nothing but update().
class Optimizer : public Probe {
 public:
  // Begins the next step. The questions below are then about that step.
  virtual void prepare(double lr) {
    lr_ = lr;
    ++steps_;
  }
  // How many gradients the step needs, one after the other, each of all its micro-batches. begin_pass(i) comes before
  // the i-th (from 0), when the gradients of the one before are still there; it may change the parameters. update()
  // sees the last.
  virtual int gradient_passes() const { return 1; }
  virtual void begin_pass(int pass) { (void)pass; }
  // Whether the labels of that pass are drawn from the model's own predictions, in place of the true ones.
  virtual bool samples_labels(int pass) const { return (void)pass, false; }
  // All gradients are there: the moment to bring in what was seen of the activations.
  virtual void end_passes() {}
  // Whether refresh() is to be called next: work that is done in some steps only and may wait
  // for the device.
  virtual bool refreshes() const { return false; }
  virtual void refresh() {}
  // Updates the parameters from their gradients; the caller clears the gradients.
  virtual void update() = 0;

  // Whether the step gives the device, refresh() apart, the same work as all others of its kind (a number; for
  // instance, whether statistics are taken), all that changes being step values (core/step_value.h) that prepare()
  // sets. Then whole training steps can be recorded and replayed.
  virtual bool recordable() const { return false; }
  virtual int kind() const { return 0; }
  // After how many steps their kinds repeat.
  virtual std::int64_t period() const { return 1; }

  // A step whose only gradients are there already.
  void step(double lr) {
    prepare(lr);
    begin_pass(0);
    end_passes();
    if (refreshes()) refresh();
    update();
  }

  // Of a method with one learning rate per input of a layer: each layer's rates after the last step, as factors of lr,
  // (groups, inputs); the biases' left out. Empty for other methods.
  virtual std::vector<NamedTensor> rates() { return {}; }

  // The state besides the parameters, as views (writing to them restores it), and its counters.
  virtual std::vector<NamedTensor> state() { return {}; }
  std::int64_t steps() const { return steps_; }
  void set_steps(std::int64_t steps) { steps_ = steps; }
  std::size_t state_bytes();  // of all tensors in state()

 protected:
  // `options`: of a table with the common options; without them, their defaults.
  explicit Optimizer(Model& model, const Options& options = {});

  // Whether weight decay acts on a parameter.
  bool decays(const Parameter& parameter) const { return decay_1d_ || parameter.shape.rank() >= 2; }
  // The parameters that have a gradient, in runs of neighbours that decay alike: usually one, or one of the weights and
  // one of the vectors.
  struct DecaySpan : Span {
    bool decays;
    Tensor of(const Tensor& buffer) const { return buffer ? buffer.slice(begin, end) : Tensor(); }
  };
  std::vector<DecaySpan> decay_spans() const;
  // kernel(p, g, state…, step): one step of all parameters that have a gradient. `state`: buffers laid out like the
  // parameters; undefined ones stay so.
  template <class Kernel, class S, class... State>
  void update_all(const Kernel& kernel, const DecayStep<S>& step, const State&... state) const {
    for (const DecaySpan& span : decay_spans())
      [&](auto... tensors) {  // names for the views: kernels take what they write by reference
        kernel(tensors..., step.of(span.decays));
      }(span.of(parameters_.values()), span.of(parameters_.gradients()), span.of(state)...);
  }

  Model& model_;
  ParameterSet& parameters_;
  double lr_ = 0;           // of the step under way
  std::int64_t steps_ = 0;  // t: how many steps were begun
  bool decay_1d_ = true;
};

// What an optimizer keeps for `layer`, among structs that have a member `layer` each.
template <class Layer>
Layer& state_of(std::vector<Layer>& layers, const WeightedLayer& layer) {
  for (Layer& state : layers)
    if (state.layer == &layer) return state;
  ACTGRAD_CHECK(false, layer.name() + " does not belong to the model");
}

std::vector<std::string> optimizer_names();           // sgd, adam, adamw, …
std::string optimizer_help(const std::string& name);  // one line
// The options of an optimizer; of one that is made around another, such as SAM, also those of its base: `base`, or what
// the option base-optim is by default. Throws UserError for unknown names.
OptionTable optimizer_options(const std::string& name, const std::string& base = "");
OptionTable own_optimizer_options(const std::string& name);  // without the base's
// The options the paper's experiments use for this optimizer with this model and data set, where they differ from the
// table's defaults: (name, value, source).
struct Recommended {
  std::string option;
  OptionValue value;
  std::string source;
};
std::vector<Recommended> recommended_options(const std::string& optimizer, const std::string& model,
                                             const std::string& data);

// How the learning rate runs over the epochs where nobody says: "cosine"; learned optimizers: "constant", for which
// they were learned.
std::string default_schedule(const std::string& optimizer);

std::unique_ptr<Optimizer> make_optimizer(const std::string& name, Model& model, const Options& options);
// With the table's defaults.
std::unique_ptr<Optimizer> make_optimizer(const std::string& name, Model& model);

}  // namespace actgrad
