// Small pieces of text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace actgrad::reproduce {

std::string fixed(double value, int digits);                        // "92.49"
std::string counted(std::int64_t number, const std::string& what);  // "1 run", "3 runs"
std::string short_number(double value);                             // "0.1", "5e-04": as short as it reads back

// Columns padded to their widths, two spaces between them. The first row is the heading; cells may be missing at the
// end.
std::string columns(const std::vector<std::vector<std::string>>& rows);

}  // namespace actgrad::reproduce
