#include "optim/optimizer.h"

namespace actgrad {

std::size_t Optimizer::state_bytes() {
  std::size_t bytes = 0;
  for (const NamedTensor& entry : state()) bytes += entry.tensor.bytes();
  return bytes;
}

}  // namespace actgrad
