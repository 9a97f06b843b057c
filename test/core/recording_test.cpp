#include "core/recording.h"

#include "core/memory.h"
#include "core/tensor.h"
#include "test/catch.h"

using namespace actgrad;

namespace {

Tensor block() {
  return Tensor::zeros({100000}, DType::uint8);
}

}  // namespace

TEST_CASE("a pool's memory is its own, and comes back to it") {
  MemoryPool pool(Device{});
  const void* inside = nullptr;
  pool.use([&] { inside = block().raw(); });
  const Tensor outside = block();
  CHECK(outside.raw() != inside);
  pool.use([&] { CHECK(block().raw() == inside); });
}

TEST_CASE("what was made in a pool outlives it, and belongs to everybody afterwards") {
  const std::size_t before = memory_statistics().bytes_in_use;
  Tensor kept;
  {
    MemoryPool pool(Device{});
    pool.use([&] { kept = block(); });
  }
  kept.data<std::uint8_t>()[99999] = 7;
  CHECK(kept.data<std::uint8_t>()[99999] == 7);
  kept = Tensor();
  CHECK(memory_statistics().bytes_in_use == before);
}

TEST_CASE("a pool is left when the work throws, and is not used within another") {
  MemoryPool pool(Device{}), other(Device{});
  CHECK_THROWS_AS(pool.use([&] { throw UserError("stop"); }), UserError);
  CHECK_THROWS_AS(pool.use([&] { other.use([] {}); }), InternalError);
  const void* inside = nullptr;
  other.use([&] { inside = block().raw(); });
  CHECK(block().raw() != inside);
}

TEST_CASE("what is made while a pool is left does not stay in it") {
  MemoryPool pool(Device{});
  const void* left = nullptr;
  pool.use([&] {
    MemoryPool::leave([&] { left = block().raw(); });
    CHECK_THROWS_AS(MemoryPool::leave([] { throw UserError("stop"); }), UserError);
    CHECK(block().raw() != left);  // of the pool again
  });
}

TEST_CASE("on the CPU every step runs as it is") {
  StepRunner runner(Device{}, true);
  int runs = 0;
  for (int i = 0; i < 4; ++i) runner.run({128, 1, 0}, [&] { ++runs; });
  CHECK(runs == 4);
}
