// How many multiply-adds the machine can do: a loop that needs nothing but registers.
#include "apps/bench/kernels.h"
#include "apps/bench/timing.h"
#include "kernels/parallel.h"

namespace actgrad::bench {
namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif
typedef float Vector __attribute__((vector_size(vector_bytes)));
constexpr int lanes = vector_bytes / static_cast<int>(sizeof(float));
constexpr int chains = 10;  // independent sums: two units with a latency of four or five cycles stay busy
constexpr int rounds = 2'000'000;

// `factor` and `term` come from outside, so that nothing can be computed in advance.
float multiply_add_loop(float factor, float term) {
  Vector sums[chains];
  const Vector a = Vector{} + factor, b = Vector{} + term;
  for (int i = 0; i < chains; ++i) sums[i] = Vector{} + static_cast<float>(i);
  for (int round = 0; round < rounds; ++round)
    for (int i = 0; i < chains; ++i) sums[i] = sums[i] * a + b;
  Vector total{};
  for (const Vector& sum : sums) total += sum;
  float result = 0;
  for (int i = 0; i < lanes; ++i) result += total[i];
  return result;
}

}  // namespace

double multiply_add_peak() {
  const int threads = kernels::threads();
  std::vector<float> results(static_cast<std::size_t>(threads));
  volatile float factor = 0.999f, term = 0.001f;
  double best = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const double start = now_ms();
    kernels::parallel_for(threads, 1, [&](kernels::Range range, int) {
      for (std::int64_t i = range.begin; i < range.end; ++i)
        results[static_cast<std::size_t>(i)] = multiply_add_loop(factor, term);
    });
    const double flops = 2.0 * lanes * chains * rounds * threads;
    best = std::max(best, flops / (now_ms() - start) * 1e-6);
  }
  return best;
}

}  // namespace actgrad::bench
