#include "core/device.h"

#include <dlfcn.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <vector>

#include "core/device_backend.h"
#include "core/error.h"

namespace actgrad {
namespace {

constexpr const char* module_name = "libactgrad_cuda.so";

DeviceBackend*& registered() {
  static DeviceBackend* backend = nullptr;
  return backend;
}

// Beside the program, in the library folder of an installation, or where ACTGRAD_CUDA_MODULE says.
std::vector<std::filesystem::path> module_places() {
  if (const char* const given = std::getenv("ACTGRAD_CUDA_MODULE")) return {given};
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  return {folder / module_name, folder / ".." / ACTGRAD_LIBRARY_FOLDER / module_name, module_name};
}

// Loading registers the backend and the kernels: see kernels/registry.h.
void open_module() {
  std::string reason;
  for (const std::filesystem::path& place : module_places()) {
    std::error_code error;
    const bool by_search = !place.has_parent_path();
    if (!by_search && !std::filesystem::exists(place, error)) continue;
    if (dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL)) return;
    if (!by_search) reason = dlerror();
  }
  if (reason.empty()) throw UserError("this build has no CUDA support");
  throw UserError("CUDA: " + reason);
}

int parse_index(const std::string& text, const std::string& digits) {
  int index = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || end != digits.data() + digits.size() || index < 0)
    throw UserError("unknown device '" + text + "' (known: auto, cpu, cuda, cuda:N)");
  return index;
}

Device cuda_device(const std::string& text, int index) {
  try {
    DeviceBackend& backend = device_backend();
    const int count = backend.device_count();
    if (count == 0) throw UserError("no CUDA device found");
    if (index >= count)
      throw UserError(
          "there " + (count == 1 ? std::string("is 1 CUDA device") : "are " + std::to_string(count) + " CUDA devices") +
          ", numbered from 0");
    backend.select(index);
    return {Device::Kind::cuda, index};
  } catch (const UserError& error) {
    throw UserError("device '" + text + "': " + error.what());
  }
}

}  // namespace

namespace detail {
void register_backend(DeviceBackend& backend) {
  registered() = &backend;
}
}  // namespace detail

DeviceBackend& device_backend() {
  static std::once_flag opened;
  if (!registered()) std::call_once(opened, open_module);  // tried again if it throws
  ACTGRAD_CHECK(registered(), std::string(module_name) + " registered nothing");
  return *registered();
}

std::string Device::name() const {
  return is_cpu() ? "cpu" : "cuda:" + std::to_string(index);
}

Device Device::parse(const std::string& text) {
  if (text == "cpu") return {};
  if (text == "auto") {
    try {
      return cuda_device("cuda", 0);
    } catch (const UserError&) {
      return {};
    }
  }
  if (text == "cuda") return cuda_device(text, 0);
  if (text.rfind("cuda:", 0) == 0) return cuda_device(text, parse_index(text, text.substr(5)));
  throw UserError("unknown device '" + text + "' (known: auto, cpu, cuda, cuda:N)");
}

}  // namespace actgrad
