#include "test/cuda_emulator/faults.h"

#include <ucontext.h>

#include <cstdlib>
#include <iterator>

#include "test/cuda_emulator/block.h"

namespace actgrad::cuda_emulator {
namespace {

constexpr int signals[] = {SIGSEGV, SIGBUS, SIGFPE};
struct sigaction previous[std::size(signals)];

const void* instruction_of(const void* signal_context) {
#ifdef __x86_64__
  const auto& registers = static_cast<const ucontext_t*>(signal_context)->uc_mcontext.gregs;
  return reinterpret_cast<const char*>(registers[REG_RIP]) + 1;  // as a return address would lie behind it
#else
  (void)signal_context;
  return nullptr;
#endif
}

void on_fault(int signal, siginfo_t* info, void* signal_context) {
  Block* block = Block::current();
  if (block == nullptr) {  // the host's own fault: the previous handler has it when the instruction runs again
    for (std::size_t i = 0; i < std::size(signals); ++i) sigaction(signals[i], &previous[i], nullptr);
    return;
  }
  Failure failure;
  failure.code = instruction_of(signal_context);
  if (signal == SIGFPE) {
    failure.message = "integer division by zero";
  } else if (block->stack_of(info->si_addr) >= 0) {
    failure.message = "the stack of a thread is exhausted";
  } else {
    failure.message = "access to memory that is not there:";
    failure.faulted = true;
    failure.fault = info->si_addr;
  }
  block->fail(std::move(failure));
}

}  // namespace

void prepare_thread_for_faults() {
  constexpr std::size_t bytes = 64 << 10;
  stack_t stack{};
  stack.ss_sp = std::malloc(bytes);  // the worker's for as long as the program runs
  stack.ss_size = bytes;
  sigaltstack(&stack, nullptr);
}

FaultHandlers::FaultHandlers() {
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (std::size_t i = 0; i < std::size(signals); ++i) sigaction(signals[i], &action, &previous[i]);
}

FaultHandlers::~FaultHandlers() {
  for (std::size_t i = 0; i < std::size(signals); ++i) sigaction(signals[i], &previous[i], nullptr);
}

}  // namespace actgrad::cuda_emulator
