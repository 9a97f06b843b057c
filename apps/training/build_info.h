// Which build this is, and what it runs on: for config.json and --version.
#pragma once

#include <map>
#include <string>

namespace actgrad {

std::string version();  // "0.1.0"
std::string commit();   // "49b8c69", "49b8c69-dirty", "unknown" outside of git

// "cpu", "cores", "compiler", "convolution library".
std::map<std::string, std::string> machine_description();

}  // namespace actgrad
