#include "apps/training/build_info.h"

#include <fstream>
#include <thread>

#include "apps/training/git_commit.h"  // written by git_commit.cmake at each build
#include "kernels/conv2d.h"

namespace actgrad {
namespace {

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

std::string version() {
  return ACTGRAD_VERSION;
}
std::string commit() {
  return ACTGRAD_COMMIT;
}

std::map<std::string, std::string> machine_description() {
#ifdef __clang__
  const std::string compiler = std::string("clang ") + __clang_version__;
#else
  const std::string compiler = std::string("g++ ") + __VERSION__;
#endif
  return {{"cpu", cpu_model()},
          {"cores", std::to_string(std::thread::hardware_concurrency())},
          {"compiler", compiler},
          {"convolution library", kernels::conv_library_available() ? "oneDNN" : "none"}};
}

}  // namespace actgrad
