// Where a tensor's bytes live.
#pragma once

#include <string>

namespace actgrad {

struct Device {
  enum class Kind { cpu, cuda };
  Kind kind = Kind::cpu;
  int index = 0;

  bool is_cpu() const { return kind == Kind::cpu; }
  bool operator==(const Device&) const = default;

  // "cpu", "cuda:0".
  std::string name() const;

  // Reads "auto", "cpu", "cuda", "cuda:N". "auto" is the fastest device that this build and machine offer. A CUDA
  // device becomes the calling thread's. Throws UserError for anything else, and for a device that is not there.
  static Device parse(const std::string& text);
};

}  // namespace actgrad
