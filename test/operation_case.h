// One operation case describes a differentiable function: name, input shapes, the call. From that description the tests
// check its gradients against finite differences in double, that gradients accumulate, and that float agrees with
// double.
#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/random.h"
#include "kernels/dispatch.h"
#include "layers/pass.h"
#include "test/catch.h"

namespace actgrad::test {

struct OperationCase {
  std::string name;
  std::vector<Shape> inputs;  // standard normal values; each gets its gradient checked
  std::function<Variable(Pass&, const std::vector<Variable>&)> function;
  bool training = true;
};

inline Tensor random_tensor(const Shape& shape, DType dtype, std::uint64_t stream) {
  Tensor tensor = Tensor::empty(shape, dtype);
  Random random(1, Purpose::test, stream);
  kernels::visit_floating(dtype, [&]<class T>() {
    for (std::int64_t i = 0; i < tensor.numel(); ++i) tensor.data<T>()[i] = static_cast<T>(random.normal());
  });
  return tensor;
}

inline double element(const Tensor& tensor, std::int64_t i) {
  return kernels::visit_floating(tensor.dtype(), [&]<class T>() { return static_cast<double>(tensor.data<T>()[i]); });
}

// The largest |a − b|, as a share of the largest |b|.
inline double relative_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.numel() == b.numel());
  double difference = 0, largest = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    difference = std::max(difference, std::abs(element(a, i) - element(b, i)));
    largest = std::max(largest, std::abs(element(b, i)));
  }
  return largest > 0 ? difference / largest : difference;
}

// Runs the function `uses` times on the same inputs with the seed gradient `weight` for each result; returns the inputs
// with their gradients.
inline std::vector<Variable> differentiate(const OperationCase& operation, DType dtype, int uses = 1) {
  std::vector<Variable> inputs;
  for (std::size_t i = 0; i < operation.inputs.size(); ++i)
    inputs.emplace_back(random_tensor(operation.inputs[i], dtype, i), true);
  Tape tape;
  Pass pass{.tape = &tape, .training = operation.training};
  std::vector<Seed> seeds;
  for (int use = 0; use < uses; ++use) {
    const Variable y = operation.function(pass, inputs);
    seeds.push_back({y, random_tensor(y.value().shape(), dtype, 100)});
  }
  tape.backward(seeds);
  return inputs;
}

// Σ weight · f(inputs), the scalar whose gradient `differentiate` computes.
inline double weighted_sum(const OperationCase& operation, const std::vector<Variable>& inputs) {
  Pass pass{.training = operation.training};
  const Tensor y = operation.function(pass, inputs).value();
  const Tensor weight = random_tensor(y.shape(), y.dtype(), 100);
  double sum = 0;
  for (std::int64_t i = 0; i < y.numel(); ++i) sum += y.data<double>()[i] * weight.data<double>()[i];
  return sum;
}

inline void check(const OperationCase& operation) {
  INFO(operation.name);
  const std::vector<Variable> inputs = differentiate(operation, DType::float64);
  const std::vector<Variable> twice = differentiate(operation, DType::float64, 2);
  const std::vector<Variable> single = differentiate(operation, DType::float32);
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    INFO("input " << k << " " << operation.inputs[k].to_string());
    REQUIRE(inputs[k].has_grad());
    const Tensor gradient = inputs[k].grad();
    Tensor numeric = Tensor::empty(gradient.shape(), DType::float64);
    double* values = inputs[k].value().data<double>();
    for (std::int64_t i = 0; i < gradient.numel(); ++i) {
      const double before = values[i], h = 1e-5;
      values[i] = before + h;
      const double above = weighted_sum(operation, inputs);
      values[i] = before - h;
      const double below = weighted_sum(operation, inputs);
      values[i] = before;
      numeric.data<double>()[i] = (above - below) / (2 * h);
    }
    CHECK(relative_difference(gradient, numeric) < 1e-6);
    // Two uses of one input: the second contribution is added to the first.
    Tensor doubled = gradient.clone();
    for (std::int64_t i = 0; i < doubled.numel(); ++i) doubled.data<double>()[i] *= 2;
    CHECK(relative_difference(twice[k].grad(), doubled) < 1e-12);
    CHECK(relative_difference(single[k].grad(), gradient) < 1e-4);
  }
}

}  // namespace actgrad::test
