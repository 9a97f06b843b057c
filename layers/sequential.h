#pragma once

#include "layers/functions/dropout.h"
#include "layers/functions/pooling.h"
#include "layers/functions/relu.h"
#include "layers/functions/reshape.h"
#include "layers/module.h"

namespace actgrad {

// Modules one after another, named 0, 1, 2, … as in PyTorch.
class Sequential final : public Module {
 public:
  // Builds a module of type M in place and returns it.
  template <class M, class... Arguments>
  M& append(Arguments&&... arguments) {
    auto module = std::make_unique<M>(std::forward<Arguments>(arguments)...);
    M& reference = *module;
    add(std::to_string(modules_.size()), reference);
    modules_.push_back(std::move(module));
    return reference;
  }

  Variable forward(Pass& pass, const Variable& x) override {
    Variable y = x;
    for (const auto& module : modules_) y = module->forward(pass, y);
    return y;
  }

 private:
  std::vector<std::unique_ptr<Module>> modules_;
};

// Functions without parameters, as modules for Sequential.
class ReLU final : public Module {
 public:
  Variable forward(Pass& pass, const Variable& x) override { return relu(pass, x); }
};

class Flatten final : public Module {
 public:
  Variable forward(Pass& pass, const Variable& x) override { return flatten(pass, x); }
};

class MaxPool2d final : public Module {
 public:
  explicit MaxPool2d(const kernels::PoolGeometry& geometry) : geometry_(geometry) {}
  Variable forward(Pass& pass, const Variable& x) override { return max_pool2d(pass, x, geometry_); }

 private:
  kernels::PoolGeometry geometry_;
};

class AvgPool2d final : public Module {
 public:
  explicit AvgPool2d(const kernels::PoolGeometry& geometry) : geometry_(geometry) {}
  Variable forward(Pass& pass, const Variable& x) override { return avg_pool2d(pass, x, geometry_); }

 private:
  kernels::PoolGeometry geometry_;
};

class GlobalAvgPool final : public Module {
 public:
  Variable forward(Pass& pass, const Variable& x) override { return global_avg_pool(pass, x); }
};

class Dropout final : public Module {
 public:
  explicit Dropout(double keep) : keep_(keep) {}  // the probability of keeping an element
  Variable forward(Pass& pass, const Variable& x) override { return dropout(pass, x, keep_); }

 private:
  double keep_;
};

}  // namespace actgrad
