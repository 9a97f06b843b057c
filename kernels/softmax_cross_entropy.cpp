#include "kernels/softmax_cross_entropy.h"

#include <cmath>
#include <vector>

#include "core/random.h"
#include "kernels/dispatch.h"
#include "kernels/formulas.h"
#include "kernels/parallel.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

struct Sums {
  double loss = 0;
  std::int64_t correct = 0;
};

constexpr std::int64_t grain = 4096;  // elements per thread: an exponential costs some nanoseconds

// −log softmax(logits)[label], exponentials taken relative to the largest logit so that none overflows. With gradient
// != nullptr: gradient = factor · (softmax − one_hot). A logit that is NaN or +∞ makes the loss NaN.
template <class T>
double row_loss(const T* logits, std::int64_t classes, std::int64_t label, double factor, T* gradient) {
  T largest = logits[0];
  for (std::int64_t j = 1; j < classes; ++j) largest = std::max(largest, logits[j]);
  double total = 0;
  for (std::int64_t j = 0; j < classes; ++j) {
    const T e = std::exp(logits[j] - largest);
    total += static_cast<double>(e);
    if (gradient) gradient[j] = e;
  }
  if (gradient) {
    const T share = T(factor / total);
    for (std::int64_t j = 0; j < classes; ++j) gradient[j] *= share;
    gradient[label] -= T(factor);
  }
  return std::log(total) - static_cast<double>(logits[label] - largest);
}

// The label's logit is the largest, the first of equals. Never true with a NaN in the row.
template <class T>
bool is_correct(const T* logits, std::int64_t classes, std::int64_t label) {
  bool correct = logits[label] == logits[label];
  for (std::int64_t j = 0; j < label; ++j) correct = correct && logits[j] < logits[label];
  for (std::int64_t j = label + 1; j < classes; ++j) correct = correct && logits[j] <= logits[label];
  return correct;
}

}  // namespace

void softmax_cross_entropy(const Tensor& logits, const Tensor& labels, double factor, Tensor& dlogits, Tensor& result) {
  ACTGRAD_CHECK(logits.rank() == 2 && labels.numel() == logits.dim(0),
                "logits " + logits.shape().to_string() + ", labels " + labels.shape().to_string());
  const std::int64_t rows = logits.dim(0), classes = logits.dim(1);
  ACTGRAD_CHECK(rows > 0 && classes > 0, "no logits");
  if (dlogits)
    ACTGRAD_CHECK(dlogits.shape() == logits.shape() && dlogits.dtype() == logits.dtype(), "gradient of the logits");
  ACTGRAD_CHECK((result.shape() == Shape{2}), result.shape().to_string());
  ACTGRAD_DISPATCH(softmax_cross_entropy, logits, logits, labels, factor, dlogits, result);
  const std::int32_t* const label = labels.data<std::int32_t>();
  for (std::int64_t r = 0; r < rows; ++r)
    ACTGRAD_CHECK(label[r] >= 0 && label[r] < classes,
                  "label " + std::to_string(label[r]) + " of " + std::to_string(classes) + " classes");

  visit_floating(logits.dtype(), [&]<class T>() {
    const T* const in = logits.data<T>();
    T* const gradient = dlogits ? dlogits.data<T>() : nullptr;
    const std::int64_t rows_per_thread = std::max<std::int64_t>(1, grain / classes);
    std::vector<Sums> parts(static_cast<std::size_t>(threads_for(rows, rows_per_thread)));
    parallel_for(rows, rows_per_thread, [&](Range range, int index) {
      Sums part;
      for (std::int64_t r = range.begin; r < range.end; ++r) {
        T* const row_gradient = gradient ? gradient + r * classes : nullptr;
        part.loss += row_loss(in + r * classes, classes, label[r], factor / static_cast<double>(rows), row_gradient);
        part.correct += is_correct(in + r * classes, classes, label[r]);
      }
      parts[static_cast<std::size_t>(index)] = part;
    });
    Sums total;
    for (const Sums& part : parts) {
      total.loss += part.loss;
      total.correct += part.correct;
    }
    result.data<double>()[0] = total.loss;
    result.data<double>()[1] = static_cast<double>(total.correct);
  });
}

void sample_labels(const Tensor& logits, const RandomStream& stream, Tensor& labels) {
  ACTGRAD_CHECK(logits.rank() == 2 && labels.numel() == logits.dim(0) && logits.dim(1) > 0,
                "logits " + logits.shape().to_string() + ", labels " + labels.shape().to_string());
  ACTGRAD_DISPATCH(sample_labels, logits, logits, stream, labels);
  const std::int64_t classes = logits.dim(1);
  visit_floating(logits.dtype(), [&]<class T>() {
    for (std::int64_t r = 0; r < logits.dim(0); ++r) {
      Random random(stream.seed, Purpose::labels, stream.first.value() + stream.offset);
      labels.data<std::int32_t>()[r] = formulas::sampled_class(logits.data<T>() + r * classes, classes,
                                                               random.uniform_at(static_cast<std::uint64_t>(r)));
    }
  });
}

}  // namespace actgrad::kernels
