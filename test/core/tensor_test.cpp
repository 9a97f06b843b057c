#include "core/tensor.h"

#include "test/catch.h"

using namespace actgrad;

namespace {

Tensor counting(const Shape& shape) {
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  return Tensor::from(shape, values);
}

}  // namespace

TEST_CASE("shapes count, compare and print") {
  CHECK(Shape{2, 3, 4}.numel() == 24);
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{3, 0}.numel() == 0);
  CHECK(Shape{2, 3} == Shape(std::vector<std::int64_t>{2, 3}));
  CHECK(Shape{2, 3} != Shape{3, 2});
  CHECK(Shape{2, 3} != Shape{2, 3, 1});
  CHECK(Shape{2} != Shape{2, 0});
  CHECK(Shape{128, 32, 32, 3}.to_string() == "(128, 32, 32, 3)");
  CHECK(Shape{}.to_string() == "()");
  CHECK(Shape{1, 2, 3, 4, 5}.rank() == 5);
  CHECK_THROWS_AS((Shape{1, 2, 3, 4, 5, 6}), InternalError);
  CHECK_THROWS_AS(Shape{-1}, InternalError);
}

TEST_CASE("element types have sizes and names") {
  CHECK(size_of(DType::float32) == 4);
  CHECK(size_of(DType::float64) == 8);
  CHECK(size_of(DType::bfloat16) == 2);
  CHECK(size_of(DType::uint8) == 1);
  CHECK(size_of(DType::int32) == 4);
  CHECK(std::string(name_of(DType::bfloat16)) == "bfloat16");
  CHECK(is_floating(DType::bfloat16));
  CHECK_FALSE(is_floating(DType::int32));
}

TEST_CASE("a new tensor has its shape, type and bytes") {
  const Tensor tensor = Tensor::zeros({2, 3}, DType::float64);
  CHECK(tensor);
  CHECK(tensor.rank() == 2);
  CHECK(tensor.dim(-1) == 3);
  CHECK(tensor.bytes() == 48);
  CHECK(tensor.to_vector<double>() == std::vector<double>(6, 0.0));
  CHECK_THROWS_AS(tensor.data<float>(), InternalError);
  CHECK_THROWS_AS(Tensor::from<float>({3}, {1, 2}), InternalError);
}

TEST_CASE("an undefined tensor says so") {
  const Tensor tensor;
  CHECK_FALSE(tensor);
  CHECK_THROWS_AS(tensor.raw(), InternalError);
}

TEST_CASE("tensors without elements and scalars work") {
  const Tensor nothing = Tensor::zeros({0, 3}, DType::float32);
  CHECK(nothing);
  CHECK(nothing.to_vector<float>().empty());
  CHECK(nothing.clone().shape() == Shape{0, 3});
  CHECK(nothing.slice(0, 0).numel() == 0);
  const Tensor scalar = Tensor::from<float>({}, {2.5f});
  CHECK(scalar.rank() == 0);
  CHECK(scalar.to_vector<float>() == std::vector<float>{2.5f});
  CHECK(scalar.reshape({1, 1}).dim(1) == 1);
}

TEST_CASE("copies of a tensor, reshape, slice and view share the bytes") {
  Tensor tensor = counting({4, 3});
  const Tensor same = tensor;
  const Tensor rows = tensor.slice(1, 3);
  CHECK(rows.shape() == Shape{2, 3});
  CHECK(rows.to_vector<float>() == std::vector<float>{3, 4, 5, 6, 7, 8});
  const Tensor row = rows.slice(1, 2);
  CHECK(row.to_vector<float>() == std::vector<float>{6, 7, 8});
  const Tensor part = rows.view(2, {3});
  CHECK(part.to_vector<float>() == std::vector<float>{5, 6, 7});
  const Tensor reshaped = tensor.reshape({2, 6});

  tensor.data<float>()[6] = -1;
  CHECK(same.data<float>()[6] == -1);
  CHECK(row.data<float>()[0] == -1);
  CHECK(part.data<float>()[1] == -1);
  CHECK(reshaped.data<float>()[6] == -1);
}

TEST_CASE("views keep the storage alive") {
  Tensor row;
  {
    const Tensor tensor = counting({4, 3});
    row = tensor.slice(3, 4);
  }
  CHECK(row.to_vector<float>() == std::vector<float>{9, 10, 11});
}

TEST_CASE("a view outside of the tensor is refused") {
  const Tensor tensor = counting({4, 3});
  CHECK_THROWS_AS(tensor.slice(-1, 2), InternalError);
  CHECK_THROWS_AS(tensor.slice(3, 2), InternalError);
  CHECK_THROWS_AS(tensor.slice(0, 5), InternalError);
  CHECK_THROWS_AS(tensor.slice(1, 2).slice(0, 2), InternalError);
  CHECK_THROWS_AS(tensor.view(10, {3}), InternalError);
  CHECK_THROWS_AS(tensor.view(-1, {3}), InternalError);
  CHECK_THROWS_AS(tensor.reshape({5, 3}), InternalError);
  CHECK_THROWS_AS(Tensor::zeros({}, DType::float32).slice(0, 1), InternalError);
}

TEST_CASE("clone copies, copy_from fills in place") {
  Tensor tensor = counting({2, 3});
  const Tensor copy = tensor.slice(1, 2).clone();
  tensor.fill_zero();
  CHECK(copy.to_vector<float>() == std::vector<float>{3, 4, 5});
  tensor.slice(0, 1).copy_from(copy);
  CHECK(tensor.to_vector<float>() == std::vector<float>{3, 4, 5, 0, 0, 0});
  CHECK_THROWS_AS(tensor.copy_from(copy), InternalError);
  CHECK_THROWS_AS(tensor.copy_from(Tensor::zeros({2, 3}, DType::float64)), InternalError);
  CHECK(tensor.to(Device{}).raw() == tensor.raw());
}

TEST_CASE("filling a view leaves the rest") {
  const Tensor tensor = counting({3, 2});
  tensor.slice(1, 2).fill_zero();
  CHECK(tensor.to_vector<float>() == std::vector<float>{0, 1, 0, 0, 4, 5});
}

TEST_CASE("devices are read from text") {
  CHECK(Device::parse("cpu").is_cpu());
  CHECK(Device::parse("auto").name() == "cpu");
  CHECK((Device{Device::Kind::cuda, 1}.name()) == "cuda:1");
  CHECK_THROWS_WITH(Device::parse("tpu"), ContainsSubstring("unknown device 'tpu'"));
}

TEST_CASE("a failed check names the file, the line and the reason") {
  CHECK_THROWS_WITH(Tensor().raw(), ContainsSubstring("tensor.cpp:") && ContainsSubstring("undefined tensor"));
}
