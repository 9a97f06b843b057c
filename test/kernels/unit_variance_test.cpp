#include "kernels/unit_variance.h"

#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

TEMPLATE_TEST_CASE("the spread of activations: mean, smallest and largest variance of the units", "", float, double) {
  for (const auto& [shape, offset] : {std::pair{Shape{1, 1}, 0.0},
                                      {Shape{1, 7}, 0.0},
                                      {Shape{5, 3}, 1e3},
                                      {Shape{7, 3, 5, 11}, 2.0},
                                      {Shape{64, 6000}, -1.0}}) {
    CAPTURE(shape.to_string());
    const std::int64_t samples = shape[0], units = shape.numel() / samples;
    const Tensor x = random_tensor<TestType>(shape, 1, offset - 1, offset + 1);
    const std::vector<double> values = doubles(x);
    double sum = 0, smallest = INFINITY, largest = 0;
    for (std::int64_t j = 0; j < units; ++j) {
      double mean = 0, squares = 0;
      for (std::int64_t n = 0; n < samples; ++n) mean += values[static_cast<std::size_t>(n * units + j)];
      mean /= static_cast<double>(samples);
      for (std::int64_t n = 0; n < samples; ++n)
        squares += std::pow(values[static_cast<std::size_t>(n * units + j)] - mean, 2);
      squares /= static_cast<double>(samples);
      sum += squares;
      smallest = std::min(smallest, squares);
      largest = std::max(largest, squares);
    }
    Tensor result = Tensor::empty({3}, DType::float64);
    unit_variance(x, result);
    CHECK(distance(result, {sum / static_cast<double>(units), smallest, largest}) < 1e-12);
  }
}
