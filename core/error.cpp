#include "core/error.h"

namespace actgrad::detail {

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::string text = std::string(file) + ":" + std::to_string(line) + ": check failed: " + condition;
  if (!message.empty()) text += " (" + message + ")";
  throw InternalError(text);
}

}  // namespace actgrad::detail
