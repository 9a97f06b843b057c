#include "core/memory.h"

#include <cstdint>
#include <limits>
#include <new>
#include <thread>
#include <vector>

#include "core/tensor.h"
#include "test/catch.h"

using namespace actgrad;

TEST_CASE("memory is aligned to 64 bytes, whatever the size") {
  for (const std::size_t bytes : {0, 1, 63, 64, 513, 4097, 100000}) {
    void* memory = detail::allocate(bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(memory) % 64 == 0);
    detail::deallocate(memory, bytes);
  }
}

TEST_CASE("bytes in use go up and down, the peak stays") {
  const std::size_t start = memory_statistics().bytes_in_use;
  reset_peak_memory();
  CHECK(memory_statistics().peak_bytes == start);

  const std::size_t size = 1 << 20;
  {
    const Tensor first = Tensor::empty({size}, DType::uint8);
    {
      const Tensor second = Tensor::empty({size}, DType::uint8);
      CHECK(memory_statistics().bytes_in_use == start + 2 * size);
    }
    CHECK(memory_statistics().bytes_in_use == start + size);
    CHECK(memory_statistics().peak_bytes == start + 2 * size);
    reset_peak_memory();
    CHECK(memory_statistics().peak_bytes == start + size);
  }
  CHECK(memory_statistics().bytes_in_use == start);
}

TEST_CASE("rounding a size up loses at most an eighth of it, and 512 bytes") {
  const std::size_t start = memory_statistics().bytes_in_use;
  for (std::size_t bytes = 1; bytes < 50'000'000; bytes = bytes * 5 / 4 + 1) {
    void* memory = detail::allocate(bytes);
    const std::size_t used = memory_statistics().bytes_in_use - start;
    CHECK(used >= bytes);
    CHECK(used <= bytes + bytes / 8 + 512);
    detail::deallocate(memory, bytes);
  }
}

// Under the address sanitizer nothing is kept, so that a use after a free is seen.
#if !defined(__SANITIZE_ADDRESS__)
TEST_CASE("the same sizes again ask nothing from the system") {
  const auto step = [] {
    std::vector<Tensor> tensors;
    for (std::int64_t i = 1; i <= 50; ++i) tensors.push_back(Tensor::empty({i * 1000}, DType::float32));
    tensors.erase(tensors.begin(), tensors.begin() + 25);
    for (std::int64_t i = 1; i <= 50; ++i) tensors.push_back(Tensor::empty({i * 1000}, DType::float64));
  };
  step();
  const MemoryStatistics before = memory_statistics();
  for (int i = 0; i < 3; ++i) step();
  const MemoryStatistics after = memory_statistics();
  CHECK(after.system_allocations == before.system_allocations);
  CHECK(after.bytes_reserved == before.bytes_reserved);

  release_cached_memory();
  CHECK(memory_statistics().bytes_reserved == memory_statistics().bytes_in_use);
  step();
  CHECK(memory_statistics().system_allocations > after.system_allocations);
}
#endif

TEST_CASE("a size that no machine has throws bad_alloc") {
  CHECK_THROWS_AS(detail::allocate(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
  CHECK_THROWS_AS(detail::allocate(std::size_t{1} << 63), std::bad_alloc);
}

TEST_CASE("threads allocate beside each other") {
  const std::size_t start = memory_statistics().bytes_in_use;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([thread] {
      for (std::int64_t i = 0; i < 500; ++i) {
        Tensor tensor = Tensor::zeros({1 + i % 7 * 1000}, DType::int32);
        tensor.data<std::int32_t>()[0] = thread;
        if (tensor.data<std::int32_t>()[0] != thread) throw std::logic_error("shared block");
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(memory_statistics().bytes_in_use == start);
}
