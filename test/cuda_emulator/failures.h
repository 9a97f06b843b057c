// Devices and drivers that are not as they should be, for tests of what programs say about them.
// ACTGRAD_EMULATOR_FAILS:
//   no-driver, old-driver, no-device      what the runtime says when it is asked for devices
//   capability-7.5                        an older device
//   after:FILE                            once the file exists, a kernel some launches later reads what it must not
#pragma once

#include <cuda_runtime_api.h>

namespace actgrad::cuda_emulator::failures {

inline constexpr int launches_after_file = 50;

cudaError_t device_count_error();             // what cudaGetDeviceCount gives
bool no_driver();                             // none is installed
void set_capability(int& major, int& minor);  // of an older device, if that is asked for
// The error that a kernel has caused, which every later call meets too ("sticky"); cudaSuccess before.
cudaError_t sticky();
// Called for every kernel that is about to run: from the one that fails on, none does.
void before_kernel();

}  // namespace actgrad::cuda_emulator::failures
