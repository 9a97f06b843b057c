// The covariance of every hidden layer's activations (AdaAct paper, Eq. (4) and Figure 2).
#pragma once

#include <string>

#include "data/dataset.h"
#include "layers/model.h"

namespace actgrad {

// Takes the test images through the model in training mode, without moving running statistics, and writes to `folder`,
// which it creates: epochN_LAYER.csv, d rows of d numbers, the mean of x xᵀ over all rows x of the input of each
// weighted layer but the first (of im2col patches, their columns in PyTorch's order (c, ky, kx)); for a grouped
// convolution that of its first group. And in diagonal_share.csv a row per epoch and layer: Σ|A_ii| / Σ|A_ij|, beside
// 1/d, that of a matrix whose entries are all alike. Throws UserError when it cannot write.
void write_activation_covariance(Model& model, const Dataset& data, kernels::ConvEngine engine,
                                 const std::string& folder, std::int64_t epoch);

}  // namespace actgrad
