// Errors. Two kinds, because two kinds of people read them:
//   UserError      a wrong option, a damaged file: one clear line for the person at the shell, exit code 2;
//   InternalError  a broken assumption of this code: names file and line for whoever mends it.
#pragma once

#include <stdexcept>
#include <string>

namespace actgrad {

class UserError : public std::runtime_error {
 public:
  explicit UserError(const std::string& message) : std::runtime_error(message) {}
};

class InternalError : public std::logic_error {
 public:
  explicit InternalError(const std::string& message) : std::logic_error(message) {}
};

// One line on stderr, "actgrad: warning: …", the first time that this message is given.
void warn_once(const std::string& message);

namespace detail {
// Throws InternalError("file:line: check failed: condition (message)").
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);
}  // namespace detail

}  // namespace actgrad

// Checks an assumption in every build type. The message is evaluated only when the check fails.
#define ACTGRAD_CHECK(condition, message)                                                         \
  do {                                                                                            \
    if (!(condition)) ::actgrad::detail::check_failed(__FILE__, __LINE__, #condition, (message)); \
  } while (false)
