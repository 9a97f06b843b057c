// Marks functions that are compiled for the CPU and for CUDA devices.
#pragma once

#ifdef __CUDACC__
#define ACTGRAD_HOST_DEVICE __host__ __device__
#else
#define ACTGRAD_HOST_DEVICE
#endif
