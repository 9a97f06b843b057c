#include "kernels/denormals.h"

#include <limits>
#include <thread>

#include "test/catch.h"

using namespace actgrad;

namespace {

// So that the products are computed when the test runs.
volatile float smallest = std::numeric_limits<float>::min(), below = std::numeric_limits<float>::denorm_min();

float denormal_result() {
  return smallest * 0.5F;
}
float product_of_denormal() {
  return below * 16777216.0F * 2;
}

}  // namespace

TEST_CASE("flushed denormals are zero in a thread and in those that it starts, and only there") {
  float result = 1, operand = 1, result_below = 1;
  std::thread([&] {
    kernels::flush_denormals();
    result = denormal_result();
    operand = product_of_denormal();
    std::thread([&] { result_below = denormal_result(); }).join();
  }).join();
#ifdef __SSE2__
  CHECK(result == 0);
  CHECK(operand == 0);
  CHECK(result_below == 0);
#endif
  CHECK(denormal_result() > 0);
  CHECK(product_of_denormal() > 0);
}
