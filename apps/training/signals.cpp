#include "apps/training/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <vector>

namespace actgrad {
namespace {

std::atomic<int> received{0};
static_assert(std::atomic<int>::is_always_lock_free, "usable in a signal handler");

extern "C" void on_stop_signal(int signal) {
  if (received.exchange(signal) != 0) ::_exit(128 + signal);
}

// Lets the handler run on a stack of its own. Before version 3.11.2, oneDNN's matrix product has the stack pointer in
// the middle of the heap while it works (its issue 4845): what a signal puts on "the stack" there destroys other data.
// The kernel gives signals for the process to the main thread, so this one stack is enough.
void give_handlers_a_stack() {
  static std::vector<char> memory(static_cast<std::size_t>(::sysconf(_SC_SIGSTKSZ)) + 16384);
  stack_t stack{};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  ::sigaltstack(&stack, nullptr);
}

}  // namespace

void catch_stop_signals() {
  give_handlers_a_stack();
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_ONSTACK | SA_RESTART;  // a write under way goes on
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGXFSZ, SIG_IGN);
}

int stop_signal() {
  return received.load();
}

}  // namespace actgrad
