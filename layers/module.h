// Modules: things with parameters and a forward function. A network is a tree of them.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/parameters.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/conv2d.h"

namespace actgrad {

class WeightedLayer;

// What an optimizer that wants activations implements. Layers call it in training mode only, once per use in a forward or
// backward pass; neither call may keep a reference to the tensor.
class Probe {
 public:
  virtual ~Probe() = default;
  // x: the layer's input, (rows, in) or (N, H, W, C).
  virtual void on_input(const WeightedLayer& layer, const Tensor& x) { (void)layer, (void)x; }
  // dy: the gradient of the loss (mean over the batch) with respect to the layer's output, same leading dimensions.
  virtual void on_output_gradient(const WeightedLayer& layer, const Tensor& dy) { (void)layer, (void)dy; }
};

// What one forward pass carries along.
struct Pass {
  Tape* tape = nullptr;  // null: no gradients are wanted
  bool training = false;
  Probe* probe = nullptr;
  kernels::ConvEngine conv_engine = kernels::ConvEngine::automatic;
  std::uint64_t seed = 0;         // of dropout
  std::uint64_t dropout_stream = 0;  // number of the pass << 8; every dropout layer takes the next one
};

// A tensor that belongs to a module's state without being trained: running statistics.
struct Buffer {
  Shape shape;
  double initial = 0;
  Tensor value;  // allocated when the model is assembled
};

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;  // children and parameters are registered by address
  Module& operator=(const Module&) = delete;

  virtual Variable forward(Pass& pass, const Variable& x) = 0;

  const std::vector<std::pair<std::string, Module*>>& children() const { return children_; }
  const std::vector<std::pair<std::string, Parameter*>>& parameters() const { return parameters_; }
  const std::vector<std::pair<std::string, Buffer*>>& buffers() const { return buffers_; }

 protected:
  // In the constructor; names become parts of "layer1.0.conv1.weight". The order is the order in the flat buffer.
  void add(std::string name, Module& child) { children_.emplace_back(std::move(name), &child); }
  void add(std::string name, Parameter& parameter) { parameters_.emplace_back(std::move(name), &parameter); }
  void add(std::string name, Buffer& buffer) { buffers_.emplace_back(std::move(name), &buffer); }

 private:
  std::vector<std::pair<std::string, Module*>> children_;
  std::vector<std::pair<std::string, Parameter*>> parameters_;
  std::vector<std::pair<std::string, Buffer*>> buffers_;
};

}  // namespace actgrad
