# find_package(actgrad) gives other projects the targets actgrad::core … actgrad::training and the headers.
include(CMakePackageConfigHelpers)

get_property(libraries GLOBAL PROPERTY ACTGRAD_LIBRARIES)
get_property(programs GLOBAL PROPERTY ACTGRAD_PROGRAMS)
install(TARGETS ${libraries} EXPORT actgrad-targets)
install(TARGETS ${programs})
foreach(folder core kernels layers optim data apps)
  install(DIRECTORY ${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/actgrad FILES_MATCHING PATTERN "*.h")
endforeach()
# What draws pictures of runs, for users and for the program `reproduce`.
install(PROGRAMS scripts/plot scripts/actgrad_runs.py DESTINATION ${CMAKE_INSTALL_DATADIR}/actgrad)
install(DIRECTORY scripts/plots DESTINATION ${CMAKE_INSTALL_DATADIR}/actgrad FILES_MATCHING PATTERN "*.py")
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/actgrad)
install(EXPORT actgrad-targets NAMESPACE actgrad:: DESTINATION ${package_folder})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/actgrad-config.cmake.in ${CMAKE_BINARY_DIR}/actgrad-config.cmake
                              INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/actgrad-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/actgrad-config.cmake ${CMAKE_BINARY_DIR}/actgrad-config-version.cmake
        DESTINATION ${package_folder})
