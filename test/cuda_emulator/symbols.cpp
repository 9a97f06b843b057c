#include "test/cuda_emulator/symbols.h"

#include <link.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <vector>

namespace actgrad::cuda_emulator {
namespace {

// The file that an address was loaded from, and the address within that file.
struct Module {
  std::uintptr_t address;
  std::string file;
  std::uintptr_t offset = 0;
};

Module module_of(std::uintptr_t address) {
  Module found{address, "", 0};
  const auto visit = [](dl_phdr_info* info, std::size_t, void* data) {
    auto& module = *static_cast<Module*>(data);
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const auto& segment = info->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD || module.address - info->dlpi_addr - segment.p_vaddr >= segment.p_memsz) continue;
      module.file = info->dlpi_name;
      module.offset = module.address - info->dlpi_addr;
      return 1;
    }
    return 0;
  };
  dl_iterate_phdr(visit, &found);
  if (found.file.empty()) {  // the program itself
    char path[4096];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
    if (length > 0) found.file.assign(path, static_cast<std::size_t>(length));
  }
  return found;
}

// addr2line's lines about an address: function, file:line, and so for every function it was inlined into.
std::vector<std::string> ask_addr2line(std::uintptr_t address) {
  const Module module = module_of(address);
  char offset[32];
  std::snprintf(offset, sizeof(offset), "0x%zx", static_cast<std::size_t>(module.offset));
  std::vector<std::string> lines;
  if (module.file.find('\'') != std::string::npos) return lines;
  FILE* pipe = popen(("addr2line -C -f -i -e '" + module.file + "' " + offset + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return lines;
  char line[4096];
  while (std::fgets(line, sizeof(line), pipe) != nullptr) {
    lines.emplace_back(line);
    while (!lines.back().empty() && lines.back().back() == '\n') lines.back().pop_back();
  }
  pclose(pipe);
  return lines;
}

}  // namespace

std::string function_name(const void* function) {
  const auto lines = ask_addr2line(reinterpret_cast<std::uintptr_t>(function));
  if (lines.empty() || lines[0] == "??") return "(unknown name)";
  std::string name = lines[lines.size() >= 2 ? lines.size() / 2 * 2 - 2 : 0];
  const std::string anonymous = "(anonymous namespace)::";
  for (std::size_t at; (at = name.find(anonymous)) != std::string::npos;) name.erase(at, anonymous.size());
  return name;
}

std::string source_line(const void* code) {
  // The byte before a return address belongs to the call.
  const auto lines = ask_addr2line(reinterpret_cast<std::uintptr_t>(code) - 1);
  if (lines.size() < 2 || lines[1].rfind("??", 0) == 0) return "";
  return lines[1].substr(0, lines[1].find(" (discriminator"));
}

}  // namespace actgrad::cuda_emulator
