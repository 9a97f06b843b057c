// A statistic of one training step.
#pragma once

#include "kernels/elementwise.h"

namespace actgrad {

// The mean over all rows that one training step presents, be it in one batch or in several micro-batches: what is added
// are means, weighted by the number of rows behind each. So gradient accumulation does not change a statistic.
class BatchStatistic {
 public:
  void add(Tensor mean, std::int64_t rows) {
    const double count = static_cast<double>(rows);
    if (rows_ == 0)
      mean_ = std::move(mean);
    else
      kernels::mix(mean_, rows_ / (rows_ + count), mean, count / (rows_ + count));
    rows_ += count;
  }
  bool empty() const { return rows_ == 0; }
  const Tensor& mean() const { return mean_; }
  void clear() { mean_ = Tensor(), rows_ = 0; }

 private:
  Tensor mean_;
  double rows_ = 0;
};

}  // namespace actgrad
