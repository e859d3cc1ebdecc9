#include "mpi/library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "mpi/failure.h"

namespace cgfac::mpi {
namespace {

/// Longer than the text of any of the libraries (MPICH: 8192 bytes).
constexpr std::size_t longest_version = 16384;

// UCX, which MPICH of Debian and others send by, hooks functions of memory and signals when it is loaded: processes
// crashed at their exit with the first (6 of 510), and reports of Node's own faults vanish with the second.
void keep_ucx_away_from_node() {
  // NOLINTBEGIN(concurrency-mt-unsafe): once in a process, before the library that reads them is there
  ::setenv("UCX_MEM_EVENTS", "no", 0);
  ::setenv("UCX_ERROR_SIGNALS", "", 0);
  // NOLINTEND(concurrency-mt-unsafe)
}

std::string last_error() {
  const char* const text = ::dlerror();  // NOLINT(concurrency-mt-unsafe): glibc has one for each thread
  return text == nullptr ? "no reason given" : text;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The same in every binary interface, and allowed before MPI_Init.
std::string version_by(void* function) {
  std::vector<char> text(longest_version);
  int length = 0;
  reinterpret_cast<int (*)(char*, int*)>(function)(text.data(), &length);
  std::string first(text.data());
  first.resize(std::min(first.find_first_of("\r\n,"), first.size()));
  std::ranges::replace(first, '\t', ' ');
  return first;
}

}  // namespace

const char* name_of(Abi abi) {
  switch (abi) {
    case Abi::open_mpi:
      return "open-mpi";
    case Abi::mpich:
      return "mpich";
    case Abi::standard:
      return "standard";
  }
  return "unknown";
}

Library Library::load(const std::vector<std::string>& names) {
  keep_ucx_away_from_node();
  std::string tried;
  for (const std::string& name : names) {
    // RTLD_NODELETE: threads of the library's own outlive whatever could unload it
    void* const handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle != nullptr) {
      Library library(handle);
      library.recognise();
      return library;
    }
    tried += (tried.empty() ? "" : "; ") + last_error();
  }
  throw Failure(FailureKind::library, "the system could load none: " + tried);
}

void* Library::find(const char* name) const {
  return ::dlsym(handle_, name);
}

void* Library::symbol(const char* name) const {
  void* const found = find(name);
  if (found == nullptr) throw Failure(FailureKind::library, path_ + " has no " + name);
  return found;
}

void Library::recognise() {
  void* const describe = find("MPI_Get_library_version");
  Dl_info info{};
  if (describe == nullptr || ::dladdr(describe, &info) == 0) {
    throw Failure(FailureKind::library,
                  "what was loaded is no MPI of version 3 or newer: it has no "
                  "MPI_Get_library_version");
  }
  path_ = info.dli_fname;
  version_ = version_by(describe);
  if (contains(std::filesystem::path(path_).filename().string(), "mpi_abi")) {
    abi_ = Abi::standard;
  } else if (find("ompi_mpi_comm_world") != nullptr) {
    abi_ = Abi::open_mpi;
  } else if (contains(version_, "MPICH") || contains(version_, "Intel") || contains(version_, "MVAPICH")) {
    abi_ = Abi::mpich;
  } else {
    throw Failure(FailureKind::library, path_ + " is an MPI of unknown handles: '" + version_ + "'");
  }
}

}  // namespace cgfac::mpi
