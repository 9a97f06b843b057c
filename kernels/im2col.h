// The im2col view of a convolution (AdaAct paper, §4 "Convolutional layer"): each output position becomes a row holding
// the patch of the input that it sees, so that the convolution is a matrix product.
#pragma once

#include "kernels/conv2d.h"

namespace actgrad::kernels {

// columns[(n, oy, ox), (ky, kx, i)] = x[n, oy·s + ky·d − p, ox·s + kx·d − p, group·I + i], zero outside of the image,
// for the images [first, first + count) of the batch. x and columns are the raw elements; columns: (count·OH·OW,
// patch_size()).
template <class T>
void im2col(const Conv2dGeometry& g, const T* x, std::int64_t first, std::int64_t count, std::int64_t group,
            T* columns);

// The rows of the output lines [first, last) alone, on the calling thread, each `row_step` ≥ patch_size() elements
// behind the one before. A line is a row of output positions: there are batch · OH, of OW rows each.
template <class T>
void im2col_lines(const Conv2dGeometry& g, const T* x, std::int64_t first, std::int64_t last, std::int64_t group,
                  T* columns, std::int64_t row_step);

// The transpose: adds each column entry to the pixel it was copied from. dx must hold defined values before.
template <class T>
void col2im(const Conv2dGeometry& g, const T* columns, std::int64_t first, std::int64_t count, std::int64_t group,
            T* dx);

}  // namespace actgrad::kernels
