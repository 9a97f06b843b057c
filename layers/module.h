// Modules: things with parameters and a forward function. A network is a tree of them.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/parameters.h"
#include "layers/pass.h"

namespace actgrad {

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
  // In the constructor; names become parts of "layer1.0.conv1.weight". The order is that of ParameterSet::list().
  void add(std::string name, Module& child) { children_.emplace_back(std::move(name), &child); }
  void add(std::string name, Parameter& parameter) { parameters_.emplace_back(std::move(name), &parameter); }
  void add(std::string name, Buffer& buffer) { buffers_.emplace_back(std::move(name), &buffer); }

 private:
  std::vector<std::pair<std::string, Module*>> children_;
  std::vector<std::pair<std::string, Parameter*>> parameters_;
  std::vector<std::pair<std::string, Buffer*>> buffers_;
};

}  // namespace actgrad
