// Turns a fault of a kernel (an address that is not mapped, a division by zero) into an error of its block.
#pragma once

#include <signal.h>

namespace actgrad::cuda_emulator {

// To be called once on each worker thread: gives it a stack of its own for signals, as a fiber's may be exhausted.
void prepare_thread_for_faults();

// Installs the handlers while it lives; a fault outside of kernels goes to those that were there before.
class FaultHandlers {
 public:
  FaultHandlers();
  ~FaultHandlers();
  FaultHandlers(const FaultHandlers&) = delete;
  FaultHandlers& operator=(const FaultHandlers&) = delete;
};

}  // namespace actgrad::cuda_emulator
