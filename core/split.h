// Lists in an option's text: "256,128".
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace actgrad {

// The parts between the separators, at least one. Empty ones stay ("a," has two), for whoever reads them to refuse.
inline std::vector<std::string> split(const std::string& text, char separator = ',') {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace actgrad
