#include "kernels/augmented.h"

#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

TEMPLATE_TEST_CASE("the bias is the last column of [W | b]", "[augmented]", float, double) {
  using T = TestType;
  const Tensor weight = Tensor::from<T>({2, 1, 3, 1}, {1, 2, 3, 4, 5, 6}), bias = Tensor::from<T>({2}, {7, 8});
  Tensor matrix = Tensor::empty({2, 4}, weight.dtype());
  join_bias(weight, bias, matrix);
  CHECK(matrix.to_vector<T>() == std::vector<T>{1, 2, 3, 7, 4, 5, 6, 8});

  Tensor w = Tensor::zeros({2, 1, 3, 1}, weight.dtype()), b = Tensor::zeros({2}, weight.dtype());
  split_bias(matrix, w, b);
  CHECK(distance(w, weight) == 0);
  CHECK(distance(b, bias) == 0);
  split_bias(matrix, w, b, Write::accumulate);
  CHECK(w.to_vector<T>() == std::vector<T>{2, 4, 6, 8, 10, 12});
  CHECK(b.to_vector<T>() == std::vector<T>{14, 16});
}

TEST_CASE("without a bias [W | b] is W", "[augmented]") {
  const Tensor weight = random_tensor<float>({3, 5}, 1);
  Tensor matrix = Tensor::empty({3, 5}, DType::float32), w = matrix.clone(), none;
  join_bias(weight, none, matrix);
  CHECK(distance(matrix, weight) == 0);
  split_bias(matrix, w, none);
  CHECK(distance(w, weight) == 0);

  Tensor wide = Tensor::empty({3, 6}, DType::float32);
  REQUIRE_THROWS_AS(join_bias(weight, none, wide), InternalError);
}
