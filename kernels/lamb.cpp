#include "kernels/lamb.h"

#include <algorithm>

#include "kernels/dispatch.h"
#include "kernels/flat.h"
#include "kernels/formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

constexpr std::int64_t chunk_size = 4096;                      // elements
constexpr std::int64_t chunk_grain = flat_grain / chunk_size;  // chunks that are worth a thread

struct Squares {
  double of_p = 0, of_u = 0;
};

// One chunk of lamb_moments: the squares of its part of p and u.
template <class T>
Squares moments_of_chunk(const LambTensors::Chunk& chunk, const T* p, const T* g, T* m, T* v,
                         const formulas::LambConstants<T>& constants) {
  const auto k = constants.of(chunk.decays);
  double of_p = 0, of_u = 0;
#pragma omp simd reduction(+ : of_p, of_u)
  for (std::int64_t i = chunk.begin; i < chunk.end; ++i) {
    formulas::lamb_moments(g[i], m[i], v[i], k);
    const double u = formulas::lamb_direction(p[i], m[i], v[i], k), weight = p[i];
    of_p += weight * weight;
    of_u += u * u;
  }
  return {of_p, of_u};
}

// Of a function that goes over `arrays` arrays of all tensors, and computes `flops` for each element.
Work work_of(const LambTensors& tensors, const Tensor& p, double arrays, double flops) {
  double elements = 0;
  for (const LambTensor& tensor : tensors.list()) elements += static_cast<double>(tensor.end - tensor.begin);
  return {.bytes = arrays * elements * static_cast<double>(size_of(p.dtype())), .flops = flops * elements};
}

void check_tensors(const LambTensors& tensors, std::int64_t size) {
  for (const LambTensor& tensor : tensors.list())
    ACTGRAD_CHECK(tensor.begin >= 0 && tensor.begin <= tensor.end && tensor.end <= size,
                  "a tensor outside of the parameters");
}

}  // namespace

LambTensors::LambTensors(const std::vector<LambTensor>& list, Device device) : list_(list) {
  std::vector<Chunk> chunks;
  std::vector<std::int64_t> first_chunks;
  for (const LambTensor& tensor : list) {
    const std::int64_t index = std::ssize(first_chunks);
    first_chunks.push_back(std::ssize(chunks));
    for (std::int64_t begin = tensor.begin; begin < tensor.end; begin += chunk_size)
      chunks.push_back({begin, std::min(begin + chunk_size, tensor.end), index, tensor.decays});
  }
  first_chunks.push_back(std::ssize(chunks));
  chunks_ = DeviceList<Chunk>(chunks, device);
  first_chunks_ = DeviceList<std::int64_t>(first_chunks, device);
}

Tensor lamb_moments(const Tensor& p, const Tensor& g, Tensor& m, Tensor& v, const LambTensors& tensors,
                    const StepValue<LambStep>& step) {
  check_like(p, g);
  check_like(p, m);
  check_like(p, v);
  check_tensors(tensors, p.numel());
  const WorkScope work("lamb_moments", work_of(tensors, p, 6, 18));  // p and g are read, m and v also written
  ACTGRAD_DISPATCH(lamb_moments, p, p, g, m, v, tensors, step);
  const std::vector<LambTensors::Chunk>& chunks = tensors.chunks().list();
  std::vector<Squares> parts(chunks.size());
  visit_floating(p.dtype(), [&]<class T>() {
    const auto k = formulas::lamb_constants<T>(step.value());
    const T *const weights = p.data<T>(), *const gradients = g.data<T>();
    T *const first = m.data<T>(), *const second = v.data<T>();
    parallel_for(std::ssize(chunks), chunk_grain, [&](Range range, int) {
      for (auto i = static_cast<std::size_t>(range.begin); i < static_cast<std::size_t>(range.end); ++i)
        parts[i] = moments_of_chunk(chunks[i], weights, gradients, first, second, k);
    });
  });
  const Tensor ratios = Tensor::empty({std::ssize(tensors.list())}, DType::float64);
  for (std::size_t t = 0; t < tensors.list().size(); ++t) {
    Squares sum;
    for (std::int64_t i = tensors.first_chunks().list()[t]; i < tensors.first_chunks().list()[t + 1]; ++i) {
      sum.of_p += parts[static_cast<std::size_t>(i)].of_p;
      sum.of_u += parts[static_cast<std::size_t>(i)].of_u;
    }
    const LambTensor& tensor = tensors.list()[t];
    ratios.data<double>()[t] = tensor.decays && tensor.begin < tensor.end
                                   ? formulas::trust_ratio(sum.of_p, sum.of_u, step.value().trust_max)
                                   : 1;
  }
  return ratios;
}

void lamb_step(Tensor& p, const Tensor& m, const Tensor& v, const LambTensors& tensors, const Tensor& ratios,
               const StepValue<LambStep>& step) {
  check_like(p, m);
  check_like(p, v);
  check_tensors(tensors, p.numel());
  ACTGRAD_CHECK(ratios.numel() == std::ssize(tensors.list()) && ratios.dtype() == DType::float64,
                "a ratio for each tensor");
  const WorkScope work("lamb_step", work_of(tensors, p, 4, 9));  // m and v are read, p also written
  ACTGRAD_DISPATCH(lamb_step, p, p, m, v, tensors, ratios, step);
  const std::vector<LambTensors::Chunk>& chunks = tensors.chunks().list();
  visit_floating(p.dtype(), [&]<class T>() {
    const auto constants = formulas::lamb_constants<T>(step.value());
    T* const weights = p.data<T>();
    const T *const first = m.data<T>(), *const second = v.data<T>();
    parallel_for(std::ssize(chunks), chunk_grain, [&](Range range, int) {
      for (auto c = static_cast<std::size_t>(range.begin); c < static_cast<std::size_t>(range.end); ++c) {
        const LambTensors::Chunk chunk = chunks[c];
        const auto k = constants.of(chunk.decays);
        const T rate = T(step.value().lr * ratios.data<double>()[chunk.tensor]);
#pragma omp simd
        for (std::int64_t i = chunk.begin; i < chunk.end; ++i)
          weights[i] -= rate * formulas::lamb_direction(weights[i], first[i], second[i], k);
      }
    });
  });
}

}  // namespace actgrad::kernels
