#include "kernels/softmax_cross_entropy.h"

#include <cmath>
#include <limits>

#include "core/random.h"
#include "kernels/cuda/reduce.cuh"
#include "kernels/formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

// What is known about each row, and summed over the rows: an array of `rows` doubles per name.
enum Figure { loss, correct, figures };

// One warp per row, its lanes stride over the classes. logits, gradient (rows, classes); gradient may be null.
template <class T>
__global__ void rows_kernel(std::int64_t rows, std::int64_t classes, const T* logits, const std::int32_t* labels,
                            double factor, T* gradient, double* of_row) {
  using std::exp, std::log;
  const std::int64_t lane = threadIdx.x % 32, warps = cuda::element_step() / 32;
  for (std::int64_t r = cuda::first_element() / 32; r < rows; r += warps) {
    const T* const row = logits + r * classes;
    T* const row_gradient = gradient ? gradient + r * classes : nullptr;
    const std::int64_t label = labels[r];
    const bool known = label >= 0 && label < classes;
    const T own = known ? row[label] : std::numeric_limits<T>::quiet_NaN();  // an unknown label: the loss shows it

    // Relative to the largest logit no exponential overflows. One that is NaN or +∞ makes the total NaN.
    T largest = -std::numeric_limits<T>::infinity();
    for (std::int64_t j = lane; j < classes; j += 32) largest = largest < row[j] ? row[j] : largest;
    largest = cuda::warp_max(largest);

    double total = 0;
    bool first_largest = true;  // the label's logit is the largest, the first of equals; never true with a NaN
    for (std::int64_t j = lane; j < classes; j += 32) {
      const T e = exp(row[j] - largest);
      total += static_cast<double>(e);
      if (row_gradient) row_gradient[j] = e;
      first_largest = first_largest && (j < label ? row[j] < own : row[j] <= own);
    }
    total = cuda::warp_sum(total);
    first_largest = __all_sync(0xFFFFFFFFu, first_largest);

    if (row_gradient) {
      const T share = T(factor / total);
      for (std::int64_t j = lane; j < classes; j += 32)
        row_gradient[j] = row_gradient[j] * share - (j == label ? T(factor) : T(0));
    }
    if (lane == 0) {
      of_row[loss * rows + r] = log(total) - static_cast<double>(own - largest);
      of_row[correct * rows + r] = first_largest;
    }
  }
}

// One block per figure: its sum over the rows.
__global__ void figures_kernel(std::int64_t rows, const double* of_row, double* totals) {
  double sum = 0;
  for (std::int64_t r = threadIdx.x; r < rows; r += blockDim.x) sum += of_row[blockIdx.x * rows + r];
  sum = cuda::block_sum(sum);
  if (threadIdx.x == 0) totals[blockIdx.x] = sum;
}

template <class T>
void softmax_cross_entropy_of(const Tensor& logits, const Tensor& labels, double factor, Tensor& dlogits,
                              Tensor& result) {
  ACTGRAD_CHECK(labels.device() == logits.device() && result.device() == logits.device(),
                "logits, labels and result lie on different devices");
  const std::int64_t rows = logits.dim(0), classes = logits.dim(1);
  const Tensor of_row = Tensor::empty({figures, rows}, DType::float64, logits.device());
  cuda::launch(rows_kernel<T>, cuda::blocks_for(32 * rows), cuda::block_size, 0, cuda::stream(), rows, classes,
               logits.data<T>(), labels.data<std::int32_t>(), factor / static_cast<double>(rows),
               dlogits ? dlogits.data<T>() : nullptr, of_row.data<double>());
  cuda::launch(figures_kernel, unsigned{figures}, cuda::block_size, 0, cuda::stream(), rows, of_row.data<double>(),
               result.data<double>());
}

template <class T>
__global__ void sample_kernel(std::int64_t rows, std::int64_t classes, const T* logits, std::uint64_t seed,
                              const std::uint64_t* first, std::uint64_t offset, std::int32_t* labels) {
  for (std::int64_t r = cuda::first_element(); r < rows; r += cuda::element_step()) {
    const Random random(seed, Purpose::labels, *first + offset);
    labels[r] =
        formulas::sampled_class(logits + r * classes, classes, random.uniform_at(static_cast<std::uint64_t>(r)));
  }
}

template <class T>
void sample_labels_of(const Tensor& logits, const RandomStream& stream, Tensor& labels) {
  cuda::launch(sample_kernel<T>, cuda::blocks_for(logits.dim(0)), cuda::block_size, 0, cuda::stream(), logits.dim(0),
               logits.dim(1), logits.data<T>(), stream.seed, stream.first.on_device(), stream.offset,
               labels.data<std::int32_t>());
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(softmax_cross_entropy, softmax_cross_entropy_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(sample_labels, sample_labels_of);

}  // namespace actgrad::kernels
