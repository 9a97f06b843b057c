// Barriers, fences and atomics as kernels call them. Out of line, so that the checker does not watch their insides.
#include <algorithm>
#include <atomic>
#include <bit>
#include <type_traits>

#include "test/cuda_emulator/block.h"
#include "test/cuda_emulator/checker.h"

namespace actgrad::cuda_emulator {
namespace {

template <class T>
T apply(Atomic operation, T old, T operand) {
  if (operation == Atomic::add) return old + operand;
  if (operation == Atomic::exchange) return operand;
  if constexpr (std::is_integral_v<T>) {
    switch (operation) {
      case Atomic::subtract: return old - operand;
      case Atomic::minimum: return std::min(old, operand);
      case Atomic::maximum: return std::max(old, operand);
      case Atomic::increment: return old >= operand ? 0 : old + 1;
      case Atomic::decrement: return old == 0 || old > operand ? operand : old - 1;
      case Atomic::bit_and: return old & operand;
      case Atomic::bit_or: return old | operand;
      default: return old ^ operand;
    }
  }
  return old;
}

}  // namespace

int barrier(Vote vote, int predicate, Where where) {
  return Block::current()->barrier(vote, predicate, where);
}

std::uint64_t warp(WarpOperation operation, unsigned mask, std::uint64_t value, int argument, int width, Where where) {
  return Block::current()->warp(operation, mask, value, argument, width, where);
}

void fence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  checker::fence();
}

unsigned active_mask() {
  return 1u << Block::current()->thread() % 32;
}

void trap() {
  Block::current()->fail("__trap() was called");
}

template <class T>
T atomic(Atomic operation, T* address, T operand) {
  checker::atomic(address, sizeof(T), __builtin_return_address(0));
  // On the bits: comparing floats would never end for NaN.
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  auto* bits = reinterpret_cast<Bits*>(address);
  Bits seen = __atomic_load_n(bits, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(bits, &seen,
                                      std::bit_cast<Bits>(apply(operation, std::bit_cast<T>(seen), operand)), true,
                                      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
  }
  return std::bit_cast<T>(seen);
}

template <class T>
T compare_and_swap(T* address, T expected, T desired) {
  checker::atomic(address, sizeof(T), __builtin_return_address(0));
  __atomic_compare_exchange_n(address, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
  return expected;
}

template int atomic(Atomic, int*, int);
template unsigned atomic(Atomic, unsigned*, unsigned);
template unsigned long long atomic(Atomic, unsigned long long*, unsigned long long);
template float atomic(Atomic, float*, float);
template double atomic(Atomic, double*, double);
template int compare_and_swap(int*, int, int);
template unsigned compare_and_swap(unsigned*, unsigned, unsigned);
template unsigned long long compare_and_swap(unsigned long long*, unsigned long long, unsigned long long);

}  // namespace actgrad::cuda_emulator
