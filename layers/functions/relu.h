#pragma once

#include "layers/pass.h"

namespace actgrad {

// max(x, 0), any shape. The gradient at 0 is 0.
Variable relu(Pass& pass, const Variable& x);

}  // namespace actgrad
