#include "kernels/denormals.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace actgrad::kernels {

void flush_denormals() {
#ifdef __SSE2__
  constexpr unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040;  // results; operands
  _mm_setcsr(_mm_getcsr() | flush_to_zero | denormals_are_zero);
#endif
}

}  // namespace actgrad::kernels
