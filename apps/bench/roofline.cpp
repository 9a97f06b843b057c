#include "apps/bench/roofline.h"

#include "apps/bench/kernels.h"
#include "apps/bench/timing.h"
#include "core/device_backend.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/precision.h"

namespace actgrad::bench {
namespace {

// The shortest time of `work` on the device, in seconds.
template <class Work>
double shortest(Device device, const Work& work) {
  const auto finish = [&] {
    if (!device.is_cpu()) device_backend().synchronize();
    return now_ms();
  };
  double best = std::numeric_limits<double>::infinity();
  for (int attempt = 0; attempt < 6; ++attempt) {
    const double start = finish();
    work();
    best = std::min(best, finish() - start);
  }
  return best * 1e-3;
}

double copy_peak(Device device, std::int64_t bytes) {
  const std::int64_t count = bytes / 4;
  const Tensor from = Tensor::zeros({count}, DType::float32, device);
  Tensor to = Tensor::zeros({count}, DType::float32, device);
  return 2.0 * static_cast<double>(bytes) / shortest(device, [&] { kernels::copy(from, to, Write::overwrite); });
}

// Random factors: a GPU that multiplies zeros runs at a higher clock.
double product_peak(Device device, DType dtype, std::int64_t size) {
  const Tensor a = random_tensor({size, size}, dtype, 1).to(device),
               b = random_tensor({size, size}, dtype, 2).to(device);
  Tensor c = Tensor::empty({size, size}, dtype, device);
  const double flops = 2.0 * static_cast<double>(size * size * size);
  return flops / shortest(device, [&] { kernels::linear_forward(a, b, Tensor(), c); });
}

Peaks peaks_of_cpu(DType dtype) {
  const double flops = 1e9 * multiply_add_peak() / (dtype == DType::float64 ? 2 : 1);  // half as many lanes
  return {copy_peak(Device{}, std::int64_t{128} << 20), flops, flops};
}

}  // namespace

Peaks measure_peaks(Device device, DType dtype) {
  if (device.is_cpu()) return peaks_of_cpu(dtype);
  const bool emulated = device_backend().emulated();
  const std::int64_t size = emulated ? 16 : 4096, bytes = std::int64_t{emulated ? 1 << 12 : 1 << 28};
  const kernels::MatrixPrecision precision = kernels::matrix_precision();
  Peaks peaks;
  peaks.bytes_per_second = copy_peak(device, bytes);
  peaks.product_flops_per_second = product_peak(device, dtype, size);
  // Outside of products nothing is rounded; a product in full precision shows what multiply-adds can do.
  kernels::set_matrix_precision(kernels::MatrixPrecision::full);
  peaks.flops_per_second = product_peak(device, dtype, size);
  kernels::set_matrix_precision(precision);
  return peaks;
}

double StepWork::bytes() const {
  double sum = 0;
  for (const kernels::NamedWork& call : calls) sum += call.bytes;
  return sum / static_cast<double>(steps);
}

double StepWork::flops() const {
  double sum = 0;
  for (const kernels::NamedWork& call : calls) sum += call.flops;
  return sum / static_cast<double>(steps);
}

double StepWork::roofline_ms(const Peaks& peaks) const {
  double seconds = 0;
  for (const kernels::NamedWork& call : calls) {
    const double arithmetic = call.product ? peaks.product_flops_per_second : peaks.flops_per_second;
    seconds += std::max(call.bytes / peaks.bytes_per_second, call.flops / arithmetic);
  }
  return seconds * 1e3 / static_cast<double>(steps);
}

}  // namespace actgrad::bench
