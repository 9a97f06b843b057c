#include "test/cuda_emulator/failures.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace actgrad::cuda_emulator::failures {
namespace {

const std::string& asked_for() {
  static const std::string* const text = [] {
    const char* const given = std::getenv("ACTGRAD_EMULATOR_FAILS");
    return new std::string(given ? given : "");
  }();
  return *text;
}

// What follows `prefix`, or nothing.
std::string after_prefix(const std::string& prefix) {
  return asked_for().rfind(prefix, 0) == 0 ? asked_for().substr(prefix.size()) : "";
}

std::atomic<bool> failed{false};

}  // namespace

cudaError_t device_count_error() {
  if (asked_for() == "no-device") return cudaErrorNoDevice;
  if (asked_for() == "no-driver" || asked_for() == "old-driver") return cudaErrorInsufficientDriver;
  return cudaSuccess;
}

bool no_driver() {
  return asked_for() == "no-driver";
}

void set_capability(int& major, int& minor) {
  std::sscanf(after_prefix("capability-").c_str(), "%d.%d", &major, &minor);
}

cudaError_t sticky() {
  return failed ? cudaErrorIllegalAddress : cudaSuccess;
}

void before_kernel() {
  static const std::string file = after_prefix("after:");
  static int left = launches_after_file;
  if (file.empty() || failed) return;
  if (left == launches_after_file && !std::filesystem::exists(file)) return;
  if (--left == 0) failed = true;
}

}  // namespace actgrad::cuda_emulator::failures
