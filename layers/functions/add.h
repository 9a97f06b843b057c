#pragma once

#include "layers/pass.h"

namespace actgrad {

// a + b, equal shapes.
Variable add(Pass& pass, const Variable& a, const Variable& b);

}  // namespace actgrad
