#pragma once

#include "layers/functions/cross_entropy.h"

namespace actgrad {

// Loss of real predictions: the mean of (y − target)² over all elements, same shape. Loss::rows counts the elements;
// none of them is ever `correct`.
Loss squared_error(Pass& pass, const Variable& y, const Tensor& target);

}  // namespace actgrad
