#pragma once

#include <deque>

#include "layers/functions/lstm.h"
#include "layers/model.h"

namespace actgrad {

// Predicts the next number of a sequence: layers of LSTM one above the other, and a linear layer on the last one's
// state at the end. x (T, N, 1, 1), N sequences moment by moment → (1, N). Named lstm1.input (4·units, 1 or units),
// lstm1.hidden, lstm1.bias, …, fc.weight, fc.bias; rows in the order of kernels/lstm.h. No bias is added to the forget
// gate.
class LstmPredictor final : public Module {
 public:
  LstmPredictor(std::int64_t layers, std::int64_t units);
  Variable forward(Pass& pass, const Variable& x) override;

 private:
  struct Layer {
    Parameter input, hidden, bias;
  };
  std::int64_t units_;
  std::deque<Layer> layers_;  // addresses stay
  Parameter weight_, bias_;
};

}  // namespace actgrad
