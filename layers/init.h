// First values of parameters.
#pragma once

#include "core/parameters.h"

namespace actgrad {

// Fills parameter.value() according to parameter.init from Random(seed, Purpose::init, stream). The numbers are drawn
// in double: a float32 model holds the rounded values of the float64 model.
void initialise(Parameter& parameter, std::uint64_t seed, std::uint64_t stream);

}  // namespace actgrad
