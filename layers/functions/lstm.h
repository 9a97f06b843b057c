#pragma once

#include "layers/pass.h"

namespace actgrad {

struct LstmState {
  Variable c, h;  // (units, n)
};

// The elementwise part of an LSTM (kernels/lstm.h). gates (4·units, n): input, candidate, forget, output.
LstmState lstm(Pass& pass, const Variable& gates, const Variable& c_previous, double forget_bias);

}  // namespace actgrad
