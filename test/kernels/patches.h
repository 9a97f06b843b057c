// What the tests of covariances and means compare with: the rows of the im2col matrix, in double.
#pragma once

#include <string>
#include <vector>

#include "kernels/conv2d.h"
#include "test/kernels/values.h"

namespace actgrad::test {

using kernels::Conv2dGeometry;
using Row = std::vector<double>;

// The patches of one group, sample by sample, by the definition; with a 1 behind each if `ones`.
inline std::vector<Row> patches(const Conv2dGeometry& g, const Tensor& x, std::int64_t group, bool ones) {
  const std::vector<double> values = doubles(x);
  std::vector<Row> rows;
  for (std::int64_t n = 0; n < g.batch; ++n)
    for (std::int64_t oy = 0; oy < g.out_height(); ++oy)
      for (std::int64_t ox = 0; ox < g.out_width(); ++ox) {
        Row row;
        for (std::int64_t ky = 0; ky < g.kernel_h; ++ky)
          for (std::int64_t kx = 0; kx < g.kernel_w; ++kx)
            for (std::int64_t c = 0; c < g.group_in(); ++c) {
              const std::int64_t iy = oy * g.stride + ky * g.dilation - g.padding;
              const std::int64_t ix = ox * g.stride + kx * g.dilation - g.padding;
              const bool inside = iy >= 0 && iy < g.height && ix >= 0 && ix < g.width;
              const std::int64_t at = ((n * g.height + iy) * g.width + ix) * g.in_channels + group * g.group_in() + c;
              row.push_back(inside ? values[static_cast<std::size_t>(at)] : 0.0);
            }
        if (ones) row.push_back(1);
        rows.push_back(row);
      }
  return rows;
}

// The mean of v vᵀ over the rows.
inline std::vector<double> mean_product(const std::vector<Row>& rows) {
  const std::size_t n = rows.at(0).size();
  std::vector<double> result(n * n);
  for (const Row& row : rows)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) result[i * n + j] += row[i] * row[j];
  for (double& value : result) value /= static_cast<double>(rows.size());
  return result;
}

// The columns [first, first + count) of x (…, d) as rows; with a 1 behind each if `ones`.
inline std::vector<Row> rows_of(const Tensor& x, std::int64_t first, std::int64_t count, bool ones) {
  const std::vector<double> values = doubles(x);
  std::vector<Row> rows;
  for (auto row = values.begin(); row != values.end(); row += x.dim(-1)) {
    rows.emplace_back(row + first, row + first + count);
    if (ones) rows.back().push_back(1);
  }
  return rows;
}

inline std::string text(const Conv2dGeometry& g) {
  const auto number = [](std::int64_t n) { return std::to_string(n); };
  return number(g.batch) + "x" + number(g.height) + "x" + number(g.width) + ", " + number(g.in_channels) +
         " channels, kernel " + number(g.kernel_h) + "x" + number(g.kernel_w) + ", stride " + number(g.stride) +
         ", padding " + number(g.padding) + ", dilation " + number(g.dilation) + ", groups " + number(g.groups);
}

}  // namespace actgrad::test
