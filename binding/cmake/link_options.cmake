# How an addon is linked on each system: it shows the process that it is loaded into Node's entry points alone, and
# needs no C++ library of the system. Its code stays mapped: pool threads outlive the environment that loaded it.
function(cgfac_link_options name)
  if(APPLE)
    # Node resolves its own functions when the addon is loaded; code with thread-local variables is never unmapped there
    set(exports ${CMAKE_CURRENT_SOURCE_DIR}/binding/node/exports.txt)
    target_link_options(${name} PRIVATE
      LINKER:-undefined,dynamic_lookup LINKER:-exported_symbols_list,${exports} LINKER:-dead_strip)
  elseif(MINGW)
    # what is marked as exported is, and nothing else; what Node exports is found in a library that is made of its list
    set(node_library ${CMAKE_CURRENT_BINARY_DIR}/libnode.a)
    if(NOT EXISTS ${node_library})
      execute_process(
        COMMAND ${CMAKE_DLLTOOL} -d ${CMAKE_JS_NODELIB_DEF} -D node.exe -l ${node_library} COMMAND_ERROR_IS_FATAL ANY)
    endif()
    target_link_libraries(${name} PRIVATE ${node_library})
    target_link_options(${name} PRIVATE -static LINKER:--gc-sections)
  else()
    set(exports ${CMAKE_CURRENT_SOURCE_DIR}/binding/node/exports.map)
    target_link_options(${name} PRIVATE LINKER:--version-script=${exports} LINKER:-z,nodelete LINKER:--gc-sections)
    if(NOT CGFAC_SANITIZE)  # a sanitizer must see the exceptions that the C++ library throws
      target_link_options(${name} PRIVATE -static-libstdc++)
    endif()
  endif()
  if(exports)
    set_target_properties(${name} PROPERTIES LINK_DEPENDS ${exports})
  endif()
endfunction()
