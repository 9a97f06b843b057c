// How far two optimizers' steps from equal weights are apart.
#pragma once

#include <algorithm>
#include <cmath>

#include "layers/model.h"

namespace actgrad {

// The largest difference of any parameter after a step, as a share of the largest update of its tensor in `expected`;
// `before`: its parameters' values before the step. What rounding the parameter itself may differ by does not count.
inline double distance_of_updates(const Model& found, const Model& expected, const Tensor& before) {
  double worst = 0;
  for (std::size_t t = 0; t < expected.parameters().list().size(); ++t) {
    const Parameter& parameter = *expected.parameters().list()[t];
    const std::vector<double> then = expected.parameters().view(before, parameter).to_doubles();
    const std::vector<double> a = found.parameters().list()[t]->value().to_doubles();
    const std::vector<double> b = parameter.value().to_doubles();
    double largest = 0, difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      largest = std::max(largest, std::abs(b[i] - then[i]));
      difference = std::max(difference, std::abs(a[i] - b[i]) - 0x1p-23 * std::abs(b[i]));
    }
    if (largest > 0) worst = std::max(worst, difference / largest);
  }
  return worst;
}

}  // namespace actgrad
