# actgrad_library(NAME): the library target of one folder, actgrad::NAME, of every .cpp below it (but for those in EXCLUDE). A new operation is
# found without touching any list.
add_library(actgrad_flags INTERFACE)
target_compile_options(actgrad_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wno-unknown-pragmas
  # Frees the compiler to vectorise square roots and comparisons; changes no result.
  -fno-math-errno -fno-trapping-math)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  # False alarms of these compilers inside their own headers (intrinsics, std::string).
  target_compile_options(actgrad_flags INTERFACE -Wno-maybe-uninitialized -Wno-uninitialized -Wno-restrict)
endif()
if(ACTGRAD_WARNINGS_AS_ERRORS)
  target_compile_options(actgrad_flags INTERFACE -Werror)
endif()
if(ACTGRAD_ARCH)
  target_compile_options(actgrad_flags INTERFACE -march=${ACTGRAD_ARCH})
  if(ACTGRAD_ARCH STREQUAL "native" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(actgrad_flags INTERFACE -mprefer-vector-width=512)
  endif()
endif()
if(ACTGRAD_SANITIZE)
  # Not null and alignment: a test at every access, a third of the compiler's time. A null pointer that is used ends the
  # program anyway, and a misaligned vector access does.
  target_compile_options(
    actgrad_flags INTERFACE -fsanitize=${ACTGRAD_SANITIZE} -fno-sanitize=null,alignment -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(actgrad_flags INTERFACE -fsanitize=${ACTGRAD_SANITIZE})
endif()

function(actgrad_library name)
  cmake_parse_arguments(ARG "" "" "EXCLUDE;LINK;PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  foreach(file ${ARG_EXCLUDE})
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
  if(NOT sources)
    return()
  endif()
  add_library(actgrad_${name} ${sources})
  add_library(actgrad::${name} ALIAS actgrad_${name})
  set_target_properties(actgrad_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  target_compile_features(actgrad_${name} PUBLIC cxx_std_20)
  target_include_directories(actgrad_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    # The first for <actgrad/core/tensor.h>, the second for the headers among themselves.
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/actgrad>)
  target_link_libraries(actgrad_${name} PUBLIC ${ARG_LINK} PRIVATE $<BUILD_INTERFACE:actgrad_flags> ${ARG_PRIVATE})
  set_property(GLOBAL APPEND PROPERTY ACTGRAD_LIBRARIES actgrad_${name})
endfunction()
