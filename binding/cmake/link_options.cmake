# How an addon is linked on each system: it shows the process that it is loaded into Node's entry points alone, and
# needs no C++ library of the system. Its code stays mapped: pool threads outlive the environment that loaded it.
if(MINGW)
  # What Node exports is found in a library that cmake-js names, and makes with the tools of MSVC alone; so is its hook
  # for a node.exe of another name.
  execute_process(
    COMMAND ${CMAKE_DLLTOOL} -d ${CMAKE_JS_NODELIB_DEF} -D node.exe -l ${CMAKE_JS_NODELIB_TARGET}
    COMMAND_ERROR_IS_FATAL ANY)
  set(CMAKE_JS_SRC "")
endif()

function(cgfac_link_options name)
  if(APPLE)
    # Node resolves its own functions when the addon is loaded; code with thread-local variables is never unmapped there
    set(exports ${CMAKE_CURRENT_SOURCE_DIR}/binding/node/exports.txt)
    target_link_options(${name} PRIVATE
      LINKER:-undefined,dynamic_lookup LINKER:-exported_symbols_list,${exports} LINKER:-dead_strip)
  elseif(MINGW)
    # what is marked as exported is, and nothing else
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
