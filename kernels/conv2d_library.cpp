// Convolution by oneDNN: the engine to race.
#include "kernels/conv2d_engines.h"

namespace actgrad::kernels {

bool conv_library_available() {
  return false;
}

void library_forward(const Conv2dGeometry&, const Tensor&, const Tensor&, const Tensor&, Tensor&) {
  ACTGRAD_CHECK(false, "built without oneDNN");
}
void library_backward_data(const Conv2dGeometry&, const Tensor&, const Tensor&, Tensor&, Write) {
  ACTGRAD_CHECK(false, "built without oneDNN");
}
void library_backward_weight(const Conv2dGeometry&, const Tensor&, const Tensor&, Tensor&, Write) {
  ACTGRAD_CHECK(false, "built without oneDNN");
}

}  // namespace actgrad::kernels
