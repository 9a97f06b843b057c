#include "kernels/cross_products.h"

#include "kernels/tile.h"

namespace actgrad::kernels {
namespace {

// Sums that fit the registers beside their factors: AVX-512 has 32 registers, older machines 16.
constexpr int most_columns = 2, most_rows = (pack_bytes == 64 ? 24 : 12) / most_columns;

template <class P, int Rows, int Columns, class T>
void add_tile(VectorRuns<T> a, VectorRuns<T> b, std::int64_t runs, std::int64_t length, T factor, T* to,
              std::int64_t ld) {
  constexpr std::int64_t width = lanes<P, T>;
  Tile<P, Rows, Columns> tile;
  tile.for_each([](P& sum, int, int) { sum = P{}; });
  for (std::int64_t r = 0; r < runs; ++r) {
    const T *pa = a.first + r * a.run_step, *pb = b.first + r * b.run_step;
    for (std::int64_t k = 0; k < length; ++k, pa += a.step, pb += b.step) {
      P of_b[Columns];
      for (int j = 0; j < Columns; ++j) of_b[j] = load<P>(pb + j * width);
      tile.for_each([&](P& sum, int i, int j) { sum += pa[i] * of_b[j]; });
    }
  }
  tile.for_each([&](P& sum, int i, int j) {
    T* const place = to + i * ld + j * width;
    store(place, load<P>(place) + factor * sum);
  });
}

}  // namespace

std::int64_t whole_packs(std::int64_t n, DType dtype) {
  const auto lanes = static_cast<std::int64_t>(pack_bytes / size_of(dtype));
  return (n + lanes - 1) / lanes * lanes;
}

template <class T>
void add_cross_products(VectorRuns<T> a, std::int64_t m, VectorRuns<T> b, std::int64_t n, std::int64_t runs,
                        std::int64_t length, T factor, T* sums, std::int64_t ld, bool upper) {
  const auto rows_of = [&]<class P, int Columns>(std::int64_t j) {
    const VectorRuns<T> panel{b.first + j, b.step, b.run_step};
    const std::int64_t end = j + Columns * lanes<P, T>;
    for_each_block<most_rows>(upper && end < m ? end : m, [&]<int Rows>(std::int64_t i) {
      add_tile<P, Rows, Columns>({a.first + i, a.step, a.run_step}, panel, runs, length, factor, sums + i * ld + j, ld);
    });
  };
  const std::int64_t packs = n / lanes<Pack<T>, T>;
  for_each_block<most_columns>(packs, [&]<int Columns>(std::int64_t pack) {
    rows_of.template operator()<Pack<T>, Columns>(pack * lanes<Pack<T>, T>);
  });
  for (std::int64_t j = packs * lanes<Pack<T>, T>; j < n; ++j) rows_of.template operator()<T, 1>(j);
}

template void add_cross_products<float>(VectorRuns<float>, std::int64_t, VectorRuns<float>, std::int64_t, std::int64_t,
                                        std::int64_t, float, float*, std::int64_t, bool);
template void add_cross_products<double>(VectorRuns<double>, std::int64_t, VectorRuns<double>, std::int64_t,
                                         std::int64_t, std::int64_t, double, double*, std::int64_t, bool);

}  // namespace actgrad::kernels
