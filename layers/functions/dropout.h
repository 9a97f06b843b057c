#pragma once

#include "layers/pass.h"

namespace actgrad {

// In training mode: each element is kept with probability `keep` and divided by it, else 0 (Srivastava et al. 2014).
// The mask comes from (pass.seed, pass.dropout_first + pass.dropout_offset), which moves on to the next stream. In
// evaluation: x.
Variable dropout(Pass& pass, const Variable& x, double keep);

}  // namespace actgrad
