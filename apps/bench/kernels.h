// bench kernels: the time of each kernel on the shapes that a model gives it.
#pragma once

#include <string>
#include <vector>

namespace actgrad::bench {

struct KernelResult {
  std::string kernel;  // "conv2d forward"
  std::string shape;   // "(128, 32, 32, 16) -> 16, 3x3 stride 1"
  std::string engine;  // of convolutions
  double ms = 0;       // median; operands lie in the caches as far as they fit
  double gflops = 0;   // arithmetic kernels: a multiply-add counts as two operations
  double gbytes = 0;   // the others: bytes read and written per second / 1e9
  double error = 0;    // convolutions: the largest difference from double, as a share of the largest value
  int uses = 0;        // convolutions: calls in a training step of the model with --conv auto
};

// Float32, on kernels::threads() threads. Throws UserError for an unknown model.
// The convolutions' arithmetic in a training step, each output a sum of products (as im2col and direct kernels do it).
struct KernelReport {
  std::vector<KernelResult> results;
  double convolution_gflop = 0;
};
KernelReport bench_kernels(const std::string& model, std::int64_t batch_size);

// What the machine can do at most: multiply-adds in registers on all threads, in GFLOP/s.
double multiply_add_peak();

}  // namespace actgrad::bench
