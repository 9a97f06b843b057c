// A model: a tree of modules assembled over flat parameter and gradient buffers, with named state.
#pragma once

#include <memory>

#include "core/options.h"
#include "core/safetensors.h"
#include "layers/module.h"
#include "layers/weighted_layer.h"

namespace actgrad {

// What a model is built for.
struct InputSpec {
  std::int64_t height = 32, width = 32, channels = 3, classes = 10;
};

class Model {
 public:
  // Takes the module tree, names everything, allocates the buffers and initialises from `seed` (Purpose::init, the
  // parameter's index as the stream; the same numbers in float32 and float64, rounded).
  Model(std::unique_ptr<Module> root, const InputSpec& input, DType dtype, std::uint64_t seed, Device device = {});

  // x: (N, H, W, C). Returns the logits (N, classes).
  Variable forward(Pass& pass, const Tensor& x);

  ParameterSet& parameters() { return parameters_; }
  const ParameterSet& parameters() const { return parameters_; }
  const std::vector<WeightedLayer*>& weighted_layers() const { return weighted_layers_; }
  // Parameters that belong to no weighted layer: BatchNorm's scales and shifts.
  const std::vector<Parameter*>& other_parameters() const { return other_parameters_; }
  const std::vector<std::pair<std::string, Buffer*>>& buffers() const { return buffers_; }
  const InputSpec& input() const { return input_; }
  DType dtype() const { return parameters_.dtype(); }

  // Parameters and buffers under PyTorch's names, in PyTorch's layouts (convolution weights OIHW), as copies in the
  // model's dtype.
  std::vector<NamedTensor> state() const;
  // The reverse; float32 and float64 are converted. `origin` (a file name) starts the error message. Throws UserError,
  // leaving the model as it was, when a tensor is missing, has another shape, or is not known ("…num_batches_tracked"
  // is ignored).
  void load_state(const std::vector<NamedTensor>& state, const std::string& origin);

  void save(const std::string& path) const;  // safetensors
  void load(const std::string& path);

 private:
  void collect(Module& module, const std::string& prefix, std::vector<Parameter*>& parameters);
  std::unique_ptr<Module> root_;
  InputSpec input_;
  ParameterSet parameters_;
  std::vector<WeightedLayer*> weighted_layers_;
  std::vector<Parameter*> other_parameters_;
  std::vector<std::pair<std::string, Buffer*>> buffers_;
};

// The models that have names: lenet5, resnet20, resnet32, resnet44, resnet56, resnet110, resnet18, resnet34,
// densenet121, cnn1, cnn2, mlp.
std::vector<std::string> model_names();
std::string model_help(const std::string& name);     // one line
OptionTable model_options(const std::string& name);  // mlp: "hidden"; throws UserError for an unknown name
std::unique_ptr<Model> make_model(const std::string& name, const InputSpec& input, DType dtype, std::uint64_t seed,
                                  const Options& options, Device device = {});
std::unique_ptr<Model> make_model(const std::string& name, const InputSpec& input = {}, DType dtype = DType::float32,
                                  std::uint64_t seed = 0);

}  // namespace actgrad
