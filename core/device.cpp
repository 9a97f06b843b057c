#include "core/device.h"

#include "core/error.h"

namespace actgrad {

std::string Device::name() const {
  return is_cpu() ? "cpu" : "cuda:" + std::to_string(index);
}

Device Device::parse(const std::string& text) {
  if (text == "cpu" || text == "auto") return {};
  if (text.rfind("cuda", 0) == 0) throw UserError("device '" + text + "': this build has no CUDA support");
  throw UserError("unknown device '" + text + "' (known: auto, cpu, cuda, cuda:N)");
}

}  // namespace actgrad
