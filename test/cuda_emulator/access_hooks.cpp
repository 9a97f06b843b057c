// What the compiler calls in code that is instrumented with -fsanitize=thread,bounds,alignment: here the calls go to
// the checker. The names and arguments are those of the sanitizers' libraries, which are not linked. Host code in the
// same files calls them as well; without a kernel that runs they do nothing.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "test/cuda_emulator/block.h"
#include "test/cuda_emulator/checker.h"

using actgrad::cuda_emulator::Block;
namespace checker = actgrad::cuda_emulator::checker;

namespace {

// The beginning of what the compiler passes to a handler of bounds and alignment.
struct SourceLocation {
  const char* file;
  std::uint32_t line;
  std::uint32_t column;
};

[[noreturn]] void report(const SourceLocation& where, std::string message) {
  message += std::string(", at ") + where.file + ":" + std::to_string(where.line);
  if (Block* block = Block::current()) block->fail(std::move(message));
  std::fprintf(stderr, "%s\n", message.c_str());  // the host's own mistake
  std::abort();
}

}  // namespace

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

#define ACTGRAD_ACCESS(name, bytes, write)                               \
  void name(void* address) {                                             \
    checker::access(address, bytes, write, __builtin_return_address(0)); \
  }
#define ACTGRAD_ACCESSES(bytes)                              \
  ACTGRAD_ACCESS(__tsan_read##bytes, bytes, false)           \
  ACTGRAD_ACCESS(__tsan_write##bytes, bytes, true)           \
  ACTGRAD_ACCESS(__tsan_unaligned_read##bytes, bytes, false) \
  ACTGRAD_ACCESS(__tsan_unaligned_write##bytes, bytes, true)
ACTGRAD_ACCESSES(1)
ACTGRAD_ACCESSES(2)
ACTGRAD_ACCESSES(4)
ACTGRAD_ACCESSES(8)
ACTGRAD_ACCESSES(16)
void __tsan_read_range(void* address, unsigned long bytes) {
  checker::access(address, bytes, false, __builtin_return_address(0));
}
void __tsan_write_range(void* address, unsigned long bytes) {
  checker::access(address, bytes, true, __builtin_return_address(0));
}

// std::atomic and the like: only host code uses them. Kernels' atomics are the emulator's functions.
#define ACTGRAD_FETCH(T, bits, operation)                                          \
  T __tsan_atomic##bits##_fetch_##operation(volatile T* address, T operand, int) { \
    return __atomic_fetch_##operation(address, operand, __ATOMIC_SEQ_CST);         \
  }
#define ACTGRAD_ATOMICS(T, bits)                                                                             \
  T __tsan_atomic##bits##_load(const volatile T* address, int) {                                             \
    return __atomic_load_n(address, __ATOMIC_SEQ_CST);                                                       \
  }                                                                                                          \
  void __tsan_atomic##bits##_store(volatile T* address, T value, int) {                                      \
    __atomic_store_n(address, value, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                          \
  T __tsan_atomic##bits##_exchange(volatile T* address, T value, int) {                                      \
    return __atomic_exchange_n(address, value, __ATOMIC_SEQ_CST);                                            \
  }                                                                                                          \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* address, T* expected, T value, int, int) {   \
    return __atomic_compare_exchange_n(address, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                                          \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* address, T* expected, T value, int, int) {     \
    return __atomic_compare_exchange_n(address, expected, value, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);  \
  }                                                                                                          \
  ACTGRAD_FETCH(T, bits, add)                                                                                \
  ACTGRAD_FETCH(T, bits, sub)                                                                                \
  ACTGRAD_FETCH(T, bits, and)                                                                                \
  ACTGRAD_FETCH(T, bits, or)                                                                                 \
  ACTGRAD_FETCH(T, bits, xor)                                                                                \
  ACTGRAD_FETCH(T, bits, nand)
ACTGRAD_ATOMICS(std::uint8_t, 8)
ACTGRAD_ATOMICS(std::uint16_t, 16)
ACTGRAD_ATOMICS(std::uint32_t, 32)
ACTGRAD_ATOMICS(std::uint64_t, 64)
void __tsan_atomic_thread_fence(int) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void __tsan_atomic_signal_fence(int) {}

// A null pointer passes through the handler of alignment too.
void __ubsan_handle_type_mismatch_v1_abort(void* data, std::uintptr_t pointer) {
  report(*static_cast<SourceLocation*>(data),
         pointer == 0 ? "access through a null pointer" : "access through a pointer that is not aligned for its type");
}
void __ubsan_handle_out_of_bounds_abort(void* data, std::uintptr_t index) {
  report(*static_cast<SourceLocation*>(data),
         "index " + std::to_string(static_cast<std::intptr_t>(index)) + " lies outside of its array");
}

}  // extern "C"
