// Tensors of random values and their comparison, for the tests of kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"
#include "test/catch.h"

namespace actgrad::test {

// Uniform in [low, high); `stream` tells one tensor from another.
template <class T>
Tensor random_tensor(const Shape& shape, std::uint64_t stream, double low = -1, double high = 1) {
  Random random(7, Purpose::test, stream);
  std::vector<T> values(static_cast<std::size_t>(shape.numel()));
  for (T& value : values) value = static_cast<T>(random.uniform(low, high));
  return Tensor::from(shape, values);
}

inline std::vector<double> doubles(const Tensor& x) {
  return x.to_doubles();
}

// max |a − b|; infinite if one of them is NaN.
inline double distance(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    largest = difference <= largest ? largest : std::isnan(difference) ? INFINITY : difference;
  }
  return largest;
}
inline double distance(const Tensor& a, const std::vector<double>& b) {
  return distance(doubles(a), b);
}
inline double distance(const Tensor& a, const Tensor& b) {
  return distance(doubles(a), doubles(b));
}

// a + b, elementwise: what accumulating b over a gives.
inline std::vector<double> plus(const Tensor& a, std::vector<double> b) {
  const std::vector<double> start = doubles(a);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] += start[i];
  return b;
}

// max |analytic − numeric| / max |numeric|, where numeric is the central difference of `loss` with respect to each
// element of the float64 tensor x.
template <class Loss>
double gradient_error(const Tensor& analytic, Tensor x, const Loss& loss) {
  double* const values = x.data<double>();
  std::vector<double> numeric;
  double largest = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const double h = 1e-5, value = values[i];
    values[i] = value + h;
    const double above = loss();
    values[i] = value - h;
    const double below = loss();
    values[i] = value;
    numeric.push_back((above - below) / (2 * h));
    largest = std::max(largest, std::abs(numeric.back()));
  }
  return distance(analytic, numeric) / largest;
}

inline double dot(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = doubles(a), y = doubles(b);
  double total = 0;
  for (std::size_t i = 0; i < x.size(); ++i) total += x[i] * y[i];
  return total;
}

}  // namespace actgrad::test
