#include "core/parameters.h"

#include "test/catch.h"

using namespace actgrad;

namespace {

Parameter make_parameter(const std::string& name, const Shape& shape) {
  Parameter parameter;
  parameter.name = name;
  parameter.shape = shape;
  return parameter;
}

struct Three {
  Parameter weight = make_parameter("weight", {3, 5});
  Parameter bias = make_parameter("bias", {3});
  Parameter scale = make_parameter("scale", {16});
  ParameterSet set;
  explicit Three(DType dtype = DType::float32) : set({&bias, &weight, &scale}, dtype, Device{}) {}
};

void give_gradient(const Parameter& parameter) {
  parameter.variable.gradient_target().tensor.fill_zero();
}

}  // namespace

TEST_CASE("parameters lie one after another, each at a multiple of 64 bytes, weights before vectors") {
  const DType dtype = GENERATE(DType::float32, DType::float64);
  Three three(dtype);
  CHECK(three.set.count() == 15 + 3 + 16);
  CHECK(three.set.dtype() == dtype);
  std::int64_t end = 0;
  CHECK(three.set.list() == std::vector{&three.bias, &three.weight, &three.scale});  // the order given
  CHECK(three.set.vectors_begin() == three.bias.offset);
  for (const Parameter* parameter : {&three.weight, &three.bias, &three.scale}) {
    CHECK(parameter->offset >= end);
    CHECK(parameter->offset * static_cast<std::int64_t>(size_of(dtype)) % 64 == 0);
    CHECK(parameter->value().shape() == parameter->shape);
    end = parameter->offset + parameter->numel();
  }
  CHECK(end <= three.set.flat_size());
  CHECK(three.set.gradients().numel() == three.set.flat_size());
}

TEST_CASE("values and gradients are views into the flat buffers") {
  const Three three;
  three.bias.value().data<float>()[2] = 7;
  CHECK(three.set.values().data<float>()[three.bias.offset + 2] == 7);

  CHECK_FALSE(three.bias.grad());
  three.bias.variable.gradient_target().tensor.data<float>()[1] = 8;
  CHECK(three.set.gradients().data<float>()[three.bias.offset + 1] == 8);

  const Tensor state = three.set.zeros_like();
  three.set.view(state, three.scale).data<float>()[15] = 9;
  CHECK(state.data<float>()[three.scale.offset + 15] == 9);
  CHECK(three.set.view(state, three.weight).shape() == Shape{3, 5});
  CHECK_THROWS_AS(three.set.view(Tensor::zeros({4}, DType::float32), three.bias), InternalError);
}

TEST_CASE("the gaps hold zeros") {
  const Three three;
  double sum = 0;
  for (const float value : three.set.values().to_vector<float>()) sum += value;
  CHECK(sum == 0);
}

TEST_CASE("parameters with a gradient form maximal spans") {
  Three three;
  CHECK(three.set.spans_with_gradient().empty());

  give_gradient(three.weight);
  give_gradient(three.scale);
  auto spans = three.set.spans_with_gradient();
  REQUIRE(spans.size() == 2);
  CHECK(spans[0].begin == 0);
  CHECK(spans[0].end == three.bias.offset);
  CHECK(spans[1].begin == three.scale.offset);
  CHECK(spans[1].end == three.set.flat_size());

  give_gradient(three.bias);
  spans = three.set.spans_with_gradient();
  REQUIRE(spans.size() == 1);
  CHECK(spans[0].begin == 0);
  CHECK(spans[0].end == three.set.flat_size());

  three.set.clear_gradients();
  CHECK(three.set.spans_with_gradient().empty());
  CHECK_FALSE(three.weight.variable.has_grad());
}
