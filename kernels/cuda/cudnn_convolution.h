// Convolutions by cuDNN: float32, NHWC.
#pragma once

#include <string>
#include <vector>

#include "kernels/conv2d.h"

namespace actgrad::cuda {

enum class ConvDirection { forward, backward_data, backward_weight };

bool cudnn_available();  // whether this build has it

// The algorithms that compute a convolution in one direction, those first that cuDNN expects to be fast; only those
// that give the same bits every time, unless kernels::algorithm_policy() allows others. The names mean the same
// algorithms in every process, as long as cuDNN's version, which is part of them, is the same. None: an empty list.
const std::vector<std::string>& cudnn_algorithms(ConvDirection direction, const kernels::Conv2dGeometry& g);

// y = or += conv(x, w) and its gradients, by one of those algorithms. Throws UserError for one that is not among them,
// and kernels::AlgorithmRefused when cuDNN does not run it after all: it is then not listed any more.
// The factors are rounded as kernels::matrix_precision() says; with bf16 so is the result, before it is added.
void cudnn_forward(const kernels::Conv2dGeometry& g, const std::string& algorithm, const Tensor& x,
                   const Tensor& weight, Tensor& y, Write mode);
void cudnn_backward_data(const kernels::Conv2dGeometry& g, const std::string& algorithm, const Tensor& dy,
                         const Tensor& weight, Tensor& dx, Write mode);
void cudnn_backward_weight(const kernels::Conv2dGeometry& g, const std::string& algorithm, const Tensor& dy,
                           const Tensor& x, Tensor& dweight, Write mode);

}  // namespace actgrad::cuda
