#include "kernels/softmax_cross_entropy.h"

#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

// tensors: logits, labels, dlogits or undefined. Loss and count come back as a tensor too.
template <class T>
void check(const Tensor& logits, const Tensor& labels, bool gradient, Tolerance tolerance) {
  CAPTURE(logits.shape().to_string(), gradient);
  const Tensor dlogits = gradient ? random_tensor<T>(logits.shape(), 9) : Tensor();
  LossResult on_cpu{};
  check_parity({logits, labels, dlogits}, tolerance, [&](std::vector<Tensor>& t) {
    const LossResult result = softmax_cross_entropy(t[0], t[1], 0.5, t[2]);
    if (t[0].device().is_cpu()) on_cpu = result;
    if (std::isnan(on_cpu.loss))
      CHECK(std::isnan(result.loss));
    else
      CHECK(result.loss == Approx(on_cpu.loss).epsilon(tolerance.of(logits)));
    CHECK(result.correct == on_cpu.correct);
  });
}

Tensor some_labels(std::int64_t rows, std::int64_t classes) {
  std::vector<std::int32_t> labels;
  for (std::int64_t r = 0; r < rows; ++r) labels.push_back(static_cast<std::int32_t>((5 * r + 3) % classes));
  return Tensor::from({rows}, labels);
}

}  // namespace

TEMPLATE_TEST_CASE("CUDA: softmax cross-entropy", "", float, double) {
  for (const std::int64_t rows : {1, 3, 128, 700})
    for (const std::int64_t classes : {1, 2, 10, 32, 33, 100}) {
      // Few different values, so that rows hold equal ones.
      Tensor logits = random_tensor<TestType>({rows, classes}, 1, -4, 4);
      if (classes == 10)
        for (TestType* v = logits.data<TestType>(); v != logits.data<TestType>() + logits.numel(); ++v)
          *v = std::floor(*v);
      for (const bool gradient : {true, false})
        check<TestType>(logits, some_labels(rows, classes), gradient, {2e-6, 1e-14});
    }
}

TEMPLATE_TEST_CASE("CUDA: softmax cross-entropy of extreme logits", "", float, double) {
  const TestType infinity = std::numeric_limits<TestType>::infinity(), nan = std::numeric_limits<TestType>::quiet_NaN();
  const std::vector<TestType> values = {TestType(1e30), 0, TestType(-1e30), 30000, 30000, 0};
  check<TestType>(Tensor::from({2, 3}, values), some_labels(2, 3), true, {1e-6, 1e-14});
  for (const TestType bad : {nan, infinity, -infinity})
    for (std::size_t at = 0; at < 3; ++at) {
      std::vector<TestType> row = {1, 2, 3};
      row[at] = bad;
      check<TestType>(Tensor::from({1, 3}, row), some_labels(1, 3), true, {1e-6, 1e-14});
    }
}

TEST_CASE("CUDA: labels out of range are refused") {
  const Tensor logits = on_device(random_tensor<float>({2, 3}, 1));
  Tensor none;
  for (const std::int32_t bad : {3, -1})
    CHECK_THROWS_AS(softmax_cross_entropy(logits, on_device(Tensor::from<std::int32_t>({2}, {0, bad})), 1, none),
                    InternalError);
}
