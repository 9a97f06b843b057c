#include "kernels/denormals.h"

#include <limits>
#include <thread>

#include "test/catch.h"

using namespace actgrad;

namespace {

// Computed when it is called: half of the smallest normal number, and twice a number that is none.
struct Products {
  volatile float smallest = std::numeric_limits<float>::min(), below = std::numeric_limits<float>::denorm_min();
  float result() { return smallest * 0.5F; }
  float of_operand() { return below * 16777216.0F * 2; }
};

}  // namespace

TEST_CASE("flushed denormals are zero in a thread and in those that it starts, and only there") {
  float result = 1, operand = 1, result_below = 1;
  std::thread([&] {
    kernels::flush_denormals();
    result = Products().result();
    operand = Products().of_operand();
    std::thread([&] { result_below = Products().result(); }).join();
  }).join();
#ifdef __SSE2__
  CHECK(result == 0);
  CHECK(operand == 0);
  CHECK(result_below == 0);
#endif
  CHECK(Products().result() > 0);
  CHECK(Products().of_operand() > 0);
}
