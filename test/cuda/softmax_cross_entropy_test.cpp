#include "kernels/softmax_cross_entropy.h"

#include <cmath>
#include <limits>

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 2e-6 : 1e-14;

// With and without the gradient.
template <class T>
void check(const Tensor& logits, const Tensor& labels, Placement placement = Placement::aligned) {
  CAPTURE(logits.shape().to_string());
  for (const Tensor& dlogits : {random_tensor<T>(logits.shape(), 9), Tensor()}) {
    check_parity(
        {logits, labels, dlogits, Tensor::zeros({2}, DType::float64)}, tolerance<T>,
        [](auto& t) { softmax_cross_entropy(t[0], t[1], 0.5, t[2], t[3]); }, placement);
  }
}

Tensor some_labels(std::int64_t rows, std::int64_t classes) {
  std::vector<std::int32_t> labels;
  for (std::int64_t r = 0; r < rows; ++r) labels.push_back(static_cast<std::int32_t>((5 * r + 3) % classes));
  return Tensor::from({rows}, labels);
}

}  // namespace

TEMPLATE_TEST_CASE("softmax cross-entropy agrees with the CPU", "", float, double) {
  const Placement placement = GENERATE(Placement::aligned, Placement::shifted);
  const std::int64_t most_rows = watched() ? 20 : 700;
  for (const std::int64_t rows : {std::int64_t{1}, std::int64_t{3}, std::int64_t{9}, most_rows})
    for (const std::int64_t classes : {1, 2, 10, 32, 33, 100}) {
      Tensor logits = random_tensor<TestType>({rows, classes}, 1, -4, 4);
      if (classes == 10)  // few different values, so that rows hold equal ones
        for (TestType* v = logits.data<TestType>(); v != logits.data<TestType>() + logits.numel(); ++v)
          *v = std::floor(*v);
      check<TestType>(logits, some_labels(rows, classes), placement);
    }
}

TEMPLATE_TEST_CASE("softmax cross-entropy of extreme logits agrees with the CPU", "", float, double) {
  const TestType infinity = std::numeric_limits<TestType>::infinity(), nan = std::numeric_limits<TestType>::quiet_NaN();
  const std::vector<TestType> values = {TestType(1e30), 0, TestType(-1e30), 30000, 30000, 0};
  check<TestType>(Tensor::from({2, 3}, values), some_labels(2, 3));
  for (const TestType bad : {nan, infinity, -infinity})
    for (std::size_t at = 0; at < 3; ++at) {
      std::vector<TestType> row = {1, 2, 3};
      row[at] = bad;
      check<TestType>(Tensor::from({1, 3}, row), some_labels(1, 3));
    }
}

TEST_CASE("a label out of range shows in the loss") {
  const auto device = cuda_device();
  if (!device) return;
  const Tensor logits = random_tensor<float>({2, 3}, 1).to(*device);
  Tensor none, sums = Tensor::zeros({2}, DType::float64, *device);
  for (const std::int32_t bad : {3, -1}) {
    const Tensor labels = Tensor::from<std::int32_t>({2}, {0, bad}).to(*device);
    softmax_cross_entropy(logits, labels, 1, none, sums);
    CHECK(std::isnan(sums.to_vector<double>()[0]));
  }
}

// In double: a draw within a rounding of a boundary between classes may go either way.
TEST_CASE("labels are drawn like the CPU's") {
  const Tensor logits = random_tensor<double>({watched() ? 5 : 300, 7}, 1, -3, 3);
  Tensor labels = Tensor::zeros({logits.dim(0)}, DType::int32);
  const auto device = cuda_device();
  if (!device) return;
  sample_labels(logits, {5, 7, 1}, labels);
  in_several_orders([&] {
    Tensor drawn = Tensor::zeros({logits.dim(0)}, DType::int32).to(*device);
    sample_labels(logits.to(*device), {5, step_value(std::uint64_t{7}, *device), 1}, drawn);
    CHECK(drawn.to_vector<std::int32_t>() == labels.to_vector<std::int32_t>());
  });
}
