#include "apps/training/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace actgrad {
namespace {

std::atomic<int> received{0};
static_assert(std::atomic<int>::is_always_lock_free, "usable in a signal handler");

extern "C" void on_stop_signal(int signal) {
  if (received.exchange(signal) != 0) ::_exit(128 + signal);
}

}  // namespace

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;  // a write under way goes on
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGXFSZ, SIG_IGN);
}

int stop_signal() {
  return received.load();
}

}  // namespace actgrad
