// Names of code, for error messages: function, file and line, from the symbol table and the debug information.
#pragma once

#include <string>

namespace actgrad::cuda_emulator {

// The name of the function that begins at `function`, as declared.
std::string function_name(const void* function);
// "file:line" of the call or access before the return address `code`, or an approximation without debug information.
std::string source_line(const void* code);

}  // namespace actgrad::cuda_emulator
