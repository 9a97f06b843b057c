#include "kernels/softmax_cross_entropy.h"

#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

Tensor random_labels(std::int64_t rows, std::int64_t classes) {
  Random random(11, Purpose::test);
  std::vector<std::int32_t> labels;
  for (std::int64_t r = 0; r < rows; ++r)
    labels.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(classes))));
  return Tensor::from({rows}, labels);
}

struct LossResult {
  double loss;  // mean
  std::int64_t correct;
};

LossResult loss_of(const Tensor& logits, const Tensor& labels, double factor, Tensor& dlogits) {
  Tensor sums = Tensor::empty({2}, DType::float64);
  softmax_cross_entropy(logits, labels, factor, dlogits, sums);
  return {sums.data<double>()[0] / static_cast<double>(logits.dim(0)),
          static_cast<std::int64_t>(sums.data<double>()[1])};
}

template <class T>
void check_against_formula(std::int64_t rows, std::int64_t classes, double tolerance) {
  CAPTURE(rows, classes);
  const Tensor logits = random_tensor<T>({rows, classes}, 1, -5, 5), labels = random_labels(rows, classes);
  const std::vector<double> z = doubles(logits);
  const auto label = labels.to_vector<std::int32_t>();
  double loss = 0;
  std::int64_t correct = 0;
  std::vector<double> gradient(z.size());
  for (std::size_t r = 0; r < label.size(); ++r) {
    const std::size_t width = static_cast<std::size_t>(classes), target = static_cast<std::size_t>(label[r]);
    const double* const row = &z[r * width];
    double total = 0;
    for (std::size_t j = 0; j < width; ++j) total += std::exp(row[j]);
    loss += (std::log(total) - row[target]) / static_cast<double>(rows);
    correct += std::max_element(row, row + width) - row == label[r];
    for (std::size_t j = 0; j < width; ++j)
      gradient[r * width + j] = 0.5 * (std::exp(row[j]) / total - (j == target)) / static_cast<double>(rows);
  }
  Tensor dlogits = Tensor::empty(logits.shape(), logits.dtype()), none;
  const LossResult result = loss_of(logits, labels, 0.5, dlogits);
  CHECK(result.loss == Approx(loss).epsilon(tolerance).margin(tolerance));
  CHECK(result.correct == correct);
  CHECK(distance(dlogits, gradient) < tolerance / static_cast<double>(rows));
  CHECK(loss_of(logits, labels, 0.5, none).loss == result.loss);
}

}  // namespace

TEST_CASE("softmax cross-entropy follows its formula") {
  for (const std::int64_t rows : {1, 7, 128, 1500})
    for (const std::int64_t classes : {1, 2, 10, 100}) {
      check_against_formula<double>(rows, classes, 1e-12);
      check_against_formula<float>(rows, classes, 1e-5);
    }
}

TEST_CASE("the gradient of softmax cross-entropy agrees with finite differences") {
  const Tensor logits = random_tensor<double>({5, 4}, 1, -3, 3), labels = random_labels(5, 4);
  Tensor dlogits = Tensor::empty(logits.shape(), DType::float64), none;
  loss_of(logits, labels, 1, dlogits);
  CHECK(gradient_error(dlogits, logits, [&] { return loss_of(logits, labels, 1, none).loss; }) < 1e-6);
}

TEST_CASE("large logits neither overflow nor lose the gradient") {
  const Tensor logits = Tensor::from<float>({2, 3}, {1e30f, 0, -1e30f, 3e4f, 3e4f, 0});
  const Tensor labels = Tensor::from<std::int32_t>({2}, {0, 1});
  Tensor dlogits = Tensor::empty({2, 3}, DType::float32);
  const LossResult result = loss_of(logits, labels, 1, dlogits);
  CHECK(result.loss == Approx(std::log(2) / 2));
  CHECK(distance(dlogits, {0, 0, 0, 0.25, -0.25, 0}) < 1e-7);
}

TEST_CASE("of equal logits the first counts as the prediction") {
  const Tensor logits = Tensor::from<float>({3, 3}, {1, 1, 0, 1, 1, 0, 0, 0, 0});
  Tensor none;
  CHECK(loss_of(logits, Tensor::from<std::int32_t>({3}, {0, 1, 0}), 1, none).correct == 2);
}

TEST_CASE("NaN and infinite logits give a NaN loss and no correct prediction") {
  const float bad = GENERATE(NAN, INFINITY);
  const int at = GENERATE(0, 1, 2);
  std::vector<float> values = {1, 2, 3};
  values[static_cast<std::size_t>(at)] = bad;
  Tensor dlogits = Tensor::empty({1, 3}, DType::float32);
  const LossResult result = loss_of(Tensor::from({1, 3}, values), Tensor::from<std::int32_t>({1}, {1}), 1, dlogits);
  CHECK(std::isnan(result.loss));
  if (std::isnan(bad)) CHECK(result.correct == 0);
}

TEST_CASE("labels out of range and shapes that do not fit are refused") {
  const Tensor logits = random_tensor<float>({2, 3}, 1);
  Tensor none;
  CHECK_THROWS_AS(loss_of(logits, Tensor::from<std::int32_t>({2}, {0, 3}), 1, none), InternalError);
  CHECK_THROWS_AS(loss_of(logits, Tensor::from<std::int32_t>({2}, {-1, 0}), 1, none), InternalError);
  CHECK_THROWS_AS(loss_of(logits, Tensor::from<std::int32_t>({3}, {0, 0, 0}), 1, none), InternalError);
}

TEMPLATE_TEST_CASE("labels are drawn with the probabilities of the softmax", "", float, double) {
  constexpr std::int64_t rows = 20000, classes = 4;
  const double probabilities[classes] = {0.5, 0.3, 0.2, 0.0};
  std::vector<TestType> logits;
  for (std::int64_t r = 0; r < rows; ++r)
    for (const double p : probabilities) logits.push_back(static_cast<TestType>(p > 0 ? 3 + std::log(p) : -1000));
  Tensor labels = Tensor::zeros({rows}, DType::int32), again = Tensor::zeros({rows}, DType::int32),
         others = again.clone();
  const Tensor x = Tensor::from({rows, classes}, logits);
  sample_labels(x, {5, 7, 1}, labels);
  sample_labels(x, {5, 8, 0}, again);  // stream first + offset: the same one
  sample_labels(x, {5, 8, 1}, others);
  std::vector<std::int64_t> counts(classes, 0);
  std::int64_t differ = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    ++counts[static_cast<std::size_t>(labels.data<std::int32_t>()[r])];
    CHECK_FALSE(labels.data<std::int32_t>()[r] != again.data<std::int32_t>()[r]);
    differ += labels.data<std::int32_t>()[r] != others.data<std::int32_t>()[r];
  }
  for (std::size_t j = 0; j < classes; ++j)
    CHECK(static_cast<double>(counts[j]) / rows == Approx(probabilities[j]).margin(0.02));  // 5.6 standard deviations
  CHECK(differ > rows / 3);
}
