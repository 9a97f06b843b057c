# actgrad_embed(TARGET NAME FILE…): the contents of the files become part of the library or program TARGET, so that it needs them no
# more. Its sources include "embedded/NAME.h", which declares, in namespace actgrad::embedded,
#   struct File { std::string_view name, contents; };      // the name without its folder
#   std::span<const File> NAME();                          // in the order given
#   std::string_view NAME(std::string_view file);          // contents; its data() is null when there is no such file
# The file is run as a script too, at build time: cmake -DNAME= -DOUTPUT= -DFILES= -P actgrad_embed.cmake.
if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(ACTGRAD_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
  function(actgrad_embed target name)
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/generated)
    set(files "")
    foreach(file ${ARGN})
      cmake_path(ABSOLUTE_PATH file OUTPUT_VARIABLE absolute)
      list(APPEND files ${absolute})
    endforeach()
    set(output ${folder}/embedded/${name})
    add_custom_command(OUTPUT ${output}.h ${output}.cpp
      COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DOUTPUT=${output} "-DFILES=${files}" -P ${ACTGRAD_EMBED_SCRIPT}
      DEPENDS ${files} ${ACTGRAD_EMBED_SCRIPT} VERBATIM)
    target_sources(${target} PRIVATE ${output}.h ${output}.cpp)
    target_include_directories(${target} PRIVATE ${folder})
  endfunction()
  return()
endif()

set(arrays "")
set(table "")
set(number 0)
foreach(file ${FILES})
  cmake_path(GET file FILENAME filename)
  file(READ ${file} bytes HEX)
  string(LENGTH "${bytes}" size)
  math(EXPR size "${size} / 2")
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${bytes}")
  string(APPEND arrays "constexpr char file_${number}[] = {${bytes}0};\n")
  string(APPEND table "    {\"${filename}\", {file_${number}, ${size}}},\n")
  math(EXPR number "${number} + 1")
endforeach()

file(WRITE ${OUTPUT}.h "#pragma once

#include <span>
#include <string_view>

namespace actgrad::embedded {

#ifndef ACTGRAD_EMBEDDED_FILE
#define ACTGRAD_EMBEDDED_FILE
struct File {
  std::string_view name, contents;
};
#endif

std::span<const File> ${NAME}();
std::string_view ${NAME}(std::string_view file);

}  // namespace actgrad::embedded
")
file(WRITE ${OUTPUT}.cpp "#include \"embedded/${NAME}.h\"

namespace actgrad::embedded {
namespace {

${arrays}
constexpr File files[] = {
${table}};

}  // namespace

std::span<const File> ${NAME}() {
  return files;
}

std::string_view ${NAME}(std::string_view file) {
  for (const File& candidate : files)
    if (candidate.name == file) return candidate.contents;
  return {};
}

}  // namespace actgrad::embedded
")
