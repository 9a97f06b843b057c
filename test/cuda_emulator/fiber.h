// Fibers: stacks of their own within one operating-system thread, switched by hand. A fiber never moves to another
// thread.
#pragma once

#include <cstddef>

#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace actgrad::cuda_emulator {

// Where a fiber continues.
struct Context {
#ifdef __x86_64__
  void* stack_pointer = nullptr;  // the rest lies on the stack
#else
  ucontext_t context;
#endif
};

// Lets `context` begin at entry(), which never returns, on the stack [low, low + bytes).
void prepare(Context& context, void* low, std::size_t bytes, void (*entry)());
// Saves the caller in `from` and continues `to`.
void switch_context(Context& from, Context& to);

// The stacks of one worker: equal ones in one mapping, a page that faults below each, made when first asked for.
class Stacks {
 public:
  static constexpr std::size_t bytes = std::size_t{128} << 10;

  explicit Stacks(std::size_t count);
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  // The lowest address of stack `index`; its end is `bytes` later.
  char* low(std::size_t index);
  // The number of the stack that an address lies on, or on whose faulting page; -1 if none.
  long index_of(const void* address) const;

 private:
  char* base_;
  std::size_t count_;
  std::size_t ready_ = 0;  // stacks whose guard pages are set
};

}  // namespace actgrad::cuda_emulator
