// Convolution by Winograd's minimal filtering: 3×3 kernels, stride 1, float32, channel counts that are multiples of 16.
#pragma once

#include "kernels/conv2d.h"
#include "kernels/winograd/tile_kernels.h"

namespace actgrad::kernels::winograd {

bool supports(const Conv2dGeometry& g);
// Whether it is supported, and there are tiles enough that transforming the weights pays.
bool pays(const Conv2dGeometry& g);

// M that takes the fewest multiplications: 4, or 2 for images so small that most of a 4×4 tile would lie outside.
int tile_size(std::int64_t height, std::int64_t width);

using Choice = const TileKernels& (*)(int m);  // of an instruction set: best_tile_kernels, or a test's

// As conv2d_forward, conv2d_backward_data, conv2d_backward_weight; the geometry must be supported.
void forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y,
             Choice kernels = best_tile_kernels);
void backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode,
                   Choice kernels = best_tile_kernels);
void backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode,
                     Choice kernels = best_tile_kernels);

}  // namespace actgrad::kernels::winograd
