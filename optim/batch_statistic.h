// A statistic of one training step.
#pragma once

#include "kernels/elementwise.h"

namespace actgrad {

// The mean over all rows that one training step presents, be it in one batch or in several micro-batches: what is added
// are means, weighted by the number of rows behind each. So gradient accumulation does not change a statistic.
class BatchStatistic {
 public:
  explicit BatchStatistic(Tensor mean) : mean_(std::move(mean)) {}  // where the mean is to be

  // write(tensor) writes the mean of `rows` rows.
  template <class WriteMean>
  void add(std::int64_t rows, const WriteMean& write) {
    const double count = static_cast<double>(rows);
    if (rows_ == 0) {
      write(mean_);
    } else {
      Tensor other = Tensor::empty(mean_.shape(), mean_.dtype(), mean_.device());
      write(other);
      kernels::mix(mean_, rows_ / (rows_ + count), other, count / (rows_ + count));
    }
    rows_ += count;
  }
  bool empty() const { return rows_ == 0; }
  double rows() const { return rows_; }
  Tensor& mean() { return mean_; }
  void clear() { rows_ = 0; }

 private:
  Tensor mean_;
  double rows_ = 0;
};

}  // namespace actgrad
