// Algorithms that are chosen by timing: the choice changes no result, is kept, and is obeyed when it comes from
// elsewhere.
#include "kernels/algorithm_choice.h"
#include "kernels/conv2d.h"
#include "kernels/precision.h"
#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

struct Autotune {
  Autotune() { set_algorithm_policy({.autotune = true}); }
  ~Autotune() {
    set_algorithm_policy({});
    set_tuned_choices({});
  }
};

const Conv2dGeometry geometry{2, 6, 5, 3, 4, 3, 3, 1, 1};

// The result of each direction; the gradients are added to what is there.
std::vector<Tensor> results(Device device, ConvEngine engine) {
  const Tensor x = random_tensor<float>(geometry.input_shape(), 1).to(device);
  const Tensor w = random_tensor<float>(geometry.weight_shape(), 2).to(device);
  const Tensor dy = random_tensor<float>(geometry.output_shape(), 3).to(device);
  Tensor y = Tensor::empty(geometry.output_shape(), DType::float32, device), dx = x.clone(), dw = w.clone();
  conv2d_forward(geometry, x, w, {}, y, engine);
  conv2d_backward_data(geometry, dy, w, dx, Write::accumulate, engine);
  conv2d_backward_weight(geometry, dy, x, dw, Write::accumulate, engine);
  return {y, dx, dw};
}

}  // namespace

TEST_CASE("trying algorithms leaves results alone, and each direction of each geometry keeps one") {
  const auto device = cuda_device();
  if (!device) return;
  const auto expected = results(*device, ConvEngine::im2col);
  const Autotune autotune;
  for (const ConvEngine engine : {ConvEngine::automatic, ConvEngine::library}) {
    set_tuned_choices({});
    const auto first = results(*device, engine);
    const TunedChoices choices = tuned_choices();
    REQUIRE(choices.size() == 3);
    for (const auto& [what, algorithm] : choices) {
      CAPTURE(what, algorithm);
      CHECK(what.find("(2, 6, 5, 3) * (4, 3, 3, 3), stride 1, padding 1, dilation 1, ") != std::string::npos);
      CHECK((algorithm == "im2col" || algorithm.rfind("cuDNN ", 0) == 0));
    }
    for (std::size_t i = 0; i < first.size(); ++i) CHECK(relative_distance(first[i], expected[i]) < 1e-5);
    const auto again = results(*device, engine);
    CHECK(tuned_choices() == choices);
    for (std::size_t i = 0; i < first.size(); ++i) CHECK(same_bits(first[i], again[i]));
  }
  set_tuned_choices({});
  results(*device, ConvEngine::im2col);
  CHECK(tuned_choices().empty());  // there was nothing to choose
}

TEST_CASE("a choice is obeyed, and refused where it means nothing") {
  const auto device = cuda_device();
  if (!device) return;
  const Autotune autotune;
  results(*device, ConvEngine::automatic);
  TunedChoices choices = tuned_choices();
  for (auto& [what, algorithm] : choices) algorithm = "im2col";
  set_tuned_choices(choices);
  const auto found = results(*device, ConvEngine::automatic), ours = results(*device, ConvEngine::im2col);
  for (std::size_t i = 0; i < ours.size(); ++i) CHECK(same_bits(found[i], ours[i]));

  for (auto& [what, algorithm] : choices) algorithm = "cuDNN 1.2.3, algorithm 1, math 0";
  set_tuned_choices(choices);
  std::string message;
  try {
    results(*device, ConvEngine::automatic);
  } catch (const UserError& error) {
    message = error.what();
  }
  CHECK(message.find("a convolution was tuned to 'cuDNN 1.2.3, algorithm 1, math 0', ") == 0);
  CHECK(message.find('\n') == std::string::npos);
}
