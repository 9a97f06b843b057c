// What kernels see besides plain C++: coordinates, barriers, fences, warp operations, atomics. The declarations are
// CUDA's; the trailing `where` of the operations that wait gives errors a place in the source.
#pragma once

#include <vector_types.h>

#include <cstdint>
#include <source_location>
#include <type_traits>

// One worker thread runs one thread of a block at a time; the scheduler sets these before it continues one.
// Not zero at first: so they lie outside the zero-initialised thread-locals, which shared memory is made of.
extern constinit thread_local uint3 threadIdx;
extern constinit thread_local uint3 blockIdx;
extern constinit thread_local dim3 blockDim;
extern constinit thread_local dim3 gridDim;
inline constexpr int warpSize = 32;

namespace actgrad::cuda_emulator {

using Where = std::source_location;

void* dynamic_shared();

enum class Vote { none, count, all, any };
// Waits for every thread of the block. Gives what `vote` makes of everyone's predicate.
int barrier(Vote vote, int predicate, Where where);

enum class WarpOperation {
  sync,
  ballot,
  all,
  any,  // lanes that have left the kernel need not come
  shuffle,
  shuffle_up,
  shuffle_down,
  shuffle_xor,  // every lane of the mask must come
  add,
  min_signed,
  max_signed,
  min_unsigned,
  max_unsigned,
  bit_and,
  bit_or,
  bit_xor
};
// Waits for the lanes of `mask`; `argument` is a shuffle's lane or distance. Shuffling from a lane outside the mask
// gives bytes of 0xFF.
std::uint64_t warp(WarpOperation operation, unsigned mask, std::uint64_t value, int argument, int width, Where where);

void fence();
unsigned active_mask();
[[noreturn]] void trap();

enum class Atomic { add, subtract, exchange, minimum, maximum, increment, decrement, bit_and, bit_or, bit_xor };
// Defined for int, unsigned, unsigned long long, float and double, as far as CUDA has them. Gives the old value.
template <class T>
T atomic(Atomic operation, T* address, T operand);
template <class T>
T compare_and_swap(T* address, T expected, T desired);

// A value of up to 8 bytes as the bits that travel between lanes.
template <class T>
std::uint64_t to_bits(T value) {
  static_assert(std::is_arithmetic_v<T> && sizeof(T) >= 4, "CUDA shuffles 4 and 8 byte numbers");
  if constexpr (sizeof(T) == 4) return __builtin_bit_cast(std::uint32_t, value);
  if constexpr (sizeof(T) == 8) return __builtin_bit_cast(std::uint64_t, value);
}
template <class T>
T from_bits(std::uint64_t bits) {
  if constexpr (sizeof(T) == 4) return __builtin_bit_cast(T, static_cast<std::uint32_t>(bits));
  if constexpr (sizeof(T) == 8) return __builtin_bit_cast(T, bits);
}

}  // namespace actgrad::cuda_emulator

#define ACTGRAD_WHERE ::actgrad::cuda_emulator::Where where = ::actgrad::cuda_emulator::Where::current()

inline void __syncthreads(ACTGRAD_WHERE) {
  actgrad::cuda_emulator::barrier(actgrad::cuda_emulator::Vote::none, 0, where);
}
inline int __syncthreads_count(int predicate, ACTGRAD_WHERE) {
  return actgrad::cuda_emulator::barrier(actgrad::cuda_emulator::Vote::count, predicate, where);
}
inline int __syncthreads_and(int predicate, ACTGRAD_WHERE) {
  return actgrad::cuda_emulator::barrier(actgrad::cuda_emulator::Vote::all, predicate, where);
}
inline int __syncthreads_or(int predicate, ACTGRAD_WHERE) {
  return actgrad::cuda_emulator::barrier(actgrad::cuda_emulator::Vote::any, predicate, where);
}

inline void __threadfence() {
  actgrad::cuda_emulator::fence();
}
inline void __threadfence_block() {
  actgrad::cuda_emulator::fence();
}
inline void __threadfence_system() {
  actgrad::cuda_emulator::fence();
}

inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, ACTGRAD_WHERE) {
  actgrad::cuda_emulator::warp(actgrad::cuda_emulator::WarpOperation::sync, mask, 0, 0, 32, where);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, ACTGRAD_WHERE) {
  return static_cast<unsigned>(
      actgrad::cuda_emulator::warp(actgrad::cuda_emulator::WarpOperation::ballot, mask, predicate != 0, 0, 32, where));
}
inline int __all_sync(unsigned mask, int predicate, ACTGRAD_WHERE) {
  return static_cast<int>(
      actgrad::cuda_emulator::warp(actgrad::cuda_emulator::WarpOperation::all, mask, predicate != 0, 0, 32, where));
}
inline int __any_sync(unsigned mask, int predicate, ACTGRAD_WHERE) {
  return static_cast<int>(
      actgrad::cuda_emulator::warp(actgrad::cuda_emulator::WarpOperation::any, mask, predicate != 0, 0, 32, where));
}
// CUDA promises the caller's own lane and no more; so that is what it gives.
inline unsigned __activemask() {
  return actgrad::cuda_emulator::active_mask();
}

#define ACTGRAD_SHUFFLE(name, operation, Argument)                                                      \
  template <class T>                                                                                    \
  T name(unsigned mask, T value, Argument argument, int width = 32, ACTGRAD_WHERE) {                    \
    return actgrad::cuda_emulator::from_bits<T>(actgrad::cuda_emulator::warp(                           \
        actgrad::cuda_emulator::WarpOperation::operation, mask, actgrad::cuda_emulator::to_bits(value), \
        static_cast<int>(argument), width, where));                                                     \
  }
ACTGRAD_SHUFFLE(__shfl_sync, shuffle, int)
ACTGRAD_SHUFFLE(__shfl_up_sync, shuffle_up, unsigned)
ACTGRAD_SHUFFLE(__shfl_down_sync, shuffle_down, unsigned)
ACTGRAD_SHUFFLE(__shfl_xor_sync, shuffle_xor, int)
#undef ACTGRAD_SHUFFLE

#define ACTGRAD_REDUCE(name, T, operation)                                                                     \
  inline T name(unsigned mask, T value, ACTGRAD_WHERE) {                                                       \
    return static_cast<T>(actgrad::cuda_emulator::warp(actgrad::cuda_emulator::WarpOperation::operation, mask, \
                                                       static_cast<unsigned>(value), 0, 32, where));           \
  }
ACTGRAD_REDUCE(__reduce_add_sync, int, add)
ACTGRAD_REDUCE(__reduce_add_sync, unsigned, add)
ACTGRAD_REDUCE(__reduce_min_sync, int, min_signed)
ACTGRAD_REDUCE(__reduce_min_sync, unsigned, min_unsigned)
ACTGRAD_REDUCE(__reduce_max_sync, int, max_signed)
ACTGRAD_REDUCE(__reduce_max_sync, unsigned, max_unsigned)
ACTGRAD_REDUCE(__reduce_and_sync, unsigned, bit_and)
ACTGRAD_REDUCE(__reduce_or_sync, unsigned, bit_or)
ACTGRAD_REDUCE(__reduce_xor_sync, unsigned, bit_xor)
#undef ACTGRAD_REDUCE
#undef ACTGRAD_WHERE

// One overload per type that CUDA knows, so that an argument converts as it does there.
#define ACTGRAD_ATOMIC(name, operation, T)                                                               \
  inline T name(T* address, T value) {                                                                   \
    return actgrad::cuda_emulator::atomic<T>(actgrad::cuda_emulator::Atomic::operation, address, value); \
  }
#define ACTGRAD_INTEGER_ATOMIC(name, operation) \
  ACTGRAD_ATOMIC(name, operation, int)          \
  ACTGRAD_ATOMIC(name, operation, unsigned)     \
  ACTGRAD_ATOMIC(name, operation, unsigned long long)
ACTGRAD_INTEGER_ATOMIC(atomicAdd, add)
ACTGRAD_ATOMIC(atomicAdd, add, float)
ACTGRAD_ATOMIC(atomicAdd, add, double)
ACTGRAD_ATOMIC(atomicSub, subtract, int)
ACTGRAD_ATOMIC(atomicSub, subtract, unsigned)
ACTGRAD_INTEGER_ATOMIC(atomicExch, exchange)
ACTGRAD_ATOMIC(atomicExch, exchange, float)
ACTGRAD_INTEGER_ATOMIC(atomicMin, minimum)
ACTGRAD_INTEGER_ATOMIC(atomicMax, maximum)
ACTGRAD_ATOMIC(atomicInc, increment, unsigned)
ACTGRAD_ATOMIC(atomicDec, decrement, unsigned)
ACTGRAD_INTEGER_ATOMIC(atomicAnd, bit_and)
ACTGRAD_INTEGER_ATOMIC(atomicOr, bit_or)
ACTGRAD_INTEGER_ATOMIC(atomicXor, bit_xor)
#undef ACTGRAD_INTEGER_ATOMIC
#undef ACTGRAD_ATOMIC

#define ACTGRAD_CAS(T)                                                              \
  inline T atomicCAS(T* address, T expected, T desired) {                           \
    return actgrad::cuda_emulator::compare_and_swap<T>(address, expected, desired); \
  }
ACTGRAD_CAS(int)
ACTGRAD_CAS(unsigned)
ACTGRAD_CAS(unsigned long long)
#undef ACTGRAD_CAS

[[noreturn]] inline void __trap() {
  actgrad::cuda_emulator::trap();
}
