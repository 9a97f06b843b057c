#include "core/error.h"

#include <cstdio>
#include <mutex>
#include <set>

namespace actgrad {

void warn_once(const std::string& message) {
  static std::mutex mutex;
  static std::set<std::string> given;
  const std::lock_guard lock(mutex);
  if (given.insert(message).second) std::fprintf(stderr, "actgrad: warning: %s\n", message.c_str());
}

}  // namespace actgrad

namespace actgrad::detail {

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::string text = std::string(file) + ":" + std::to_string(line) + ": check failed: " + condition;
  if (!message.empty()) text += " (" + message + ")";
  throw InternalError(text);
}

}  // namespace actgrad::detail
