#include "kernels/reshape.h"

#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

std::size_t nhwc(const Shape& s, std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c) {
  return static_cast<std::size_t>(((n * s[1] + y) * s[2] + x) * s[3] + c);
}

// Checks that forward(x) moves elements to expected[·] and that backward, both ways of writing, is its transpose.
// source[e]: the element of x that output element e shows, −1 for a zero.
template <class T, class Forward, class Backward>
void check_moves(const Shape& from, const Shape& to, const std::vector<std::int64_t>& source, const Forward& forward,
                 const Backward& backward) {
  CAPTURE(from.to_string(), to.to_string());
  const Tensor x = random_tensor<T>(from, 1), dy = random_tensor<T>(to, 2);
  Tensor y = random_tensor<T>(to, 3), dx = random_tensor<T>(from, 4);
  const std::vector<double> in = doubles(x), gradient = doubles(dy);
  std::vector<double> moved, carried(in.size());
  for (std::size_t e = 0; e < source.size(); ++e) {
    moved.push_back(source[e] < 0 ? 0 : in[static_cast<std::size_t>(source[e])]);
    if (source[e] >= 0) carried[static_cast<std::size_t>(source[e])] = gradient[e];
  }
  forward(x, y);
  CHECK(distance(y, moved) == 0);
  const std::vector<double> accumulated = plus(dx, carried);
  backward(dy, dx, Write::accumulate);
  CHECK(distance(dx, accumulated) < 1e-6);
  backward(dy, dx, Write::overwrite);
  CHECK(distance(dx, carried) == 0);
}

template <class T>
void check_flatten(const Shape& s) {
  std::vector<std::int64_t> source;
  for (std::int64_t n = 0; n < s[0]; ++n)
    for (std::int64_t c = 0; c < s[3]; ++c)
      for (std::int64_t y = 0; y < s[1]; ++y)
        for (std::int64_t x = 0; x < s[2]; ++x) source.push_back(static_cast<std::int64_t>(nhwc(s, n, y, x, c)));
  check_moves<T>(s, {s[0], s[1] * s[2] * s[3]}, source, flatten_forward, flatten_backward);
}

template <class T>
void check_subsample(const Shape& s, std::int64_t before, std::int64_t channels) {
  const Shape to{s[0], (s[1] + 1) / 2, (s[2] + 1) / 2, channels};
  std::vector<std::int64_t> source;
  for (std::int64_t n = 0; n < to[0]; ++n)
    for (std::int64_t y = 0; y < to[1]; ++y)
      for (std::int64_t x = 0; x < to[2]; ++x)
        for (std::int64_t c = 0; c < channels; ++c) {
          const bool inside = c >= before && c < before + s[3];
          source.push_back(inside ? static_cast<std::int64_t>(nhwc(s, n, 2 * y, 2 * x, c - before)) : -1);
        }
  check_moves<T>(
      s, to, source, [&](const Tensor& x, Tensor& y) { subsample_pad_forward(x, before, y); },
      [&](const Tensor& dy, Tensor& dx, Write mode) { subsample_pad_backward(dy, before, dx, mode); });
}

}  // namespace

TEST_CASE("flatten yields (c, h, w) order and carries the gradient back") {
  for (const Shape& shape : {Shape{2, 5, 5, 16}, Shape{3, 4, 4, 16}, Shape{200, 5, 3, 17}, Shape{1, 1, 1, 1},
                             Shape{2, 1, 7, 3}, Shape{2, 3, 3, 1}}) {
    check_flatten<float>(shape);
    check_flatten<double>(shape);
  }
}

TEST_CASE("the option-A shortcut takes every second pixel and pads channels with zeros") {
  for (const Shape& shape : {Shape{2, 8, 8, 16}, Shape{1, 5, 7, 3}, Shape{2, 1, 1, 4}, Shape{60, 32, 32, 2}}) {
    const std::int64_t c = shape[3];
    check_subsample<float>(shape, c / 2, 2 * c);
    check_subsample<double>(shape, 0, c);
    check_subsample<double>(shape, 1, c + 4);
  }
}

TEST_CASE("the shortcut refuses shapes that do not fit") {
  const Tensor x = random_tensor<float>({1, 4, 4, 4}, 1);
  Tensor narrow = Tensor::empty({1, 2, 2, 5}, DType::float32), big = Tensor::empty({1, 4, 2, 8}, DType::float32);
  CHECK_THROWS_AS(subsample_pad_forward(x, 2, narrow), InternalError);
  CHECK_THROWS_AS(subsample_pad_forward(x, 2, big), InternalError);
}

TEMPLATE_TEST_CASE("channels are concatenated, and taken apart again", "", float, double) {
  const Tensor a = random_tensor<TestType>({2, 3, 4, 5}, 1), b = random_tensor<TestType>({2, 3, 4, 2}, 2);
  Tensor y = Tensor::empty({2, 3, 4, 7}, a.dtype());
  concat_channels(a, b, y);
  const std::vector<double> in_front = doubles(a), behind = doubles(b), all = doubles(y);
  for (std::size_t p = 0; p < 2 * 3 * 4; ++p)
    for (std::size_t c = 0; c < 7; ++c) CHECK(all[p * 7 + c] == (c < 5 ? in_front[p * 5 + c] : behind[p * 2 + c - 5]));
  Tensor part = random_tensor<TestType>({2, 3, 4, 2}, 3);
  const std::vector<double> sum = plus(part, behind);
  slice_channels(y, 5, part, Write::accumulate);
  CHECK(distance(part, sum) < 1e-6);
  slice_channels(y, 5, part, Write::overwrite);
  CHECK(distance(part, b) == 0);
  Tensor wide = Tensor::empty({2, 3, 4, 8}, a.dtype());
  CHECK_THROWS_AS(concat_channels(a, b, wide), InternalError);
  CHECK_THROWS_AS(slice_channels(y, 6, part, Write::overwrite), InternalError);
}

TEST_CASE("weights change between memory and file order and back, for every element size") {
  const Shape memory{3, 2, 5, 4}, file{3, 4, 2, 5};
  const auto check = [&]<class T>(T) {
    std::vector<T> values;
    for (int i = 0; i < memory.numel(); ++i) values.push_back(T(i));
    const Tensor weight = Tensor::from(memory, values), moved = ohwi_to_oihw(weight);
    REQUIRE((moved.shape() == file));
    REQUIRE(moved.dtype() == weight.dtype());
    const std::vector<T> result = moved.to_vector<T>();
    for (std::int64_t o = 0, e = 0; o < 3; ++o)
      for (std::int64_t i = 0; i < 4; ++i)
        for (std::int64_t y = 0; y < 2; ++y)
          for (std::int64_t x = 0; x < 5; ++x, ++e)
            CHECK(result[static_cast<std::size_t>(e)] == values[nhwc(memory, o, y, x, i)]);
    CHECK((oihw_to_ohwi(moved).shape() == memory));
    CHECK((oihw_to_ohwi(moved).to_vector<T>() == values));
  };
  check(float{});
  check(double{});
  check(std::uint8_t{});
  check(std::int32_t{});
}
