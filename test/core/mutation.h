// Damaged files for fuzz tests: one to three random changes of a good one.
#pragma once

#include <string>

#include "core/random.h"

namespace actgrad {

inline std::string mutated(std::string bytes, Random& random) {
  const auto position = [&](std::size_t size) {
    return static_cast<std::size_t>(random.below(static_cast<std::uint32_t>(size)));
  };
  for (std::size_t changes = 1 + position(3); changes > 0 && !bytes.empty(); --changes) {
    const std::size_t at = position(bytes.size());
    switch (random.below(7)) {
      case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8))); break;
      case 1: bytes[at] = static_cast<char>(random.below(256)); break;
      case 2: bytes.resize(at); break;
      case 3: bytes.erase(at, 1 + position(8)); break;
      case 4: bytes.insert(at, 1 + position(8), static_cast<char>(random.below(256))); break;
      case 5: bytes.insert(at, bytes.substr(position(bytes.size()), 1 + position(32))); break;
      default: bytes[at] = "0123456789{}[]\",:-.eE"[random.below(21)]; break;  // hits numbers and structure of text
    }
  }
  return bytes;
}

}  // namespace actgrad
