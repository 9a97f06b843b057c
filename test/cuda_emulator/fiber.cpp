#include "test/cuda_emulator/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace actgrad::cuda_emulator {
namespace {
constexpr std::size_t page = 4096;
}

#ifdef __x86_64__

// The registers that a callee must preserve go onto the stack, the rest is the compiler's concern. It ends in a jump:
// a processor predicts `ret` to be the return of the latest call, which here it never is.
extern "C" void actgrad_switch_stacks(void** save, void* load);
asm(R"(
  .text
  .globl actgrad_switch_stacks
  .hidden actgrad_switch_stacks
  .type actgrad_switch_stacks, @function
actgrad_switch_stacks:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmpq *%rcx
  .size actgrad_switch_stacks, . - actgrad_switch_stacks
)");

void prepare(Context& context, void* low, std::size_t bytes, void (*entry)()) {
  // At a function's first instruction the stack pointer is 8 below a multiple of 16: as after a call.
  auto* top =
      reinterpret_cast<std::uintptr_t*>((reinterpret_cast<std::uintptr_t>(low) + bytes - 8) & ~std::uintptr_t{15});
  *--top = 0;                                        // the return address of `entry`: none
  *--top = reinterpret_cast<std::uintptr_t>(entry);  // what the switch jumps to
  for (int preserved = 0; preserved < 6; ++preserved) *--top = 0;
  context.stack_pointer = top;
}

void switch_context(Context& from, Context& to) {
  actgrad_switch_stacks(&from.stack_pointer, to.stack_pointer);
}

#else

void prepare(Context& context, void* low, std::size_t bytes, void (*entry)()) {
  getcontext(&context.context);
  context.context.uc_stack.ss_sp = low;
  context.context.uc_stack.ss_size = bytes;
  context.context.uc_link = nullptr;
  makecontext(&context.context, entry, 0);
}

void switch_context(Context& from, Context& to) {
  swapcontext(&from.context, &to.context);
}

#endif

Stacks::Stacks(std::size_t count) : count_(count) {
  void* memory =
      mmap(nullptr, count * (page + bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  base_ = static_cast<char*>(memory);
}

Stacks::~Stacks() {
  munmap(base_, count_ * (page + bytes));
}

char* Stacks::low(std::size_t index) {
  for (; ready_ <= index; ++ready_) mprotect(base_ + ready_ * (page + bytes), page, PROT_NONE);
  return base_ + index * (page + bytes) + page;
}

long Stacks::index_of(const void* address) const {
  const auto offset = static_cast<std::size_t>(static_cast<const char*>(address) - base_);
  return offset < count_ * (page + bytes) ? static_cast<long>(offset / (page + bytes)) : -1;
}

}  // namespace actgrad::cuda_emulator
