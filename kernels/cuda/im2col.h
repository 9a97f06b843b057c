// im2col.h's functions on device memory.
#pragma once

#include "kernels/conv2d.h"

namespace actgrad::cuda {

// columns[(n, oy, ox), (ky, kx, i)] of the images [first, first + count).
template <class T>
void im2col(const kernels::Conv2dGeometry& g, const T* x, std::int64_t first, std::int64_t count, std::int64_t group,
            T* columns);

// dx = or += the sums of the column entries that were copied from each pixel: for the channels of `group` of the images
// [first, first + count).
template <class T>
void col2im(const kernels::Conv2dGeometry& g, const T* columns, std::int64_t first, std::int64_t count,
            std::int64_t group, T* dx, Write mode);

}  // namespace actgrad::cuda
