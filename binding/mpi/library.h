#pragma once

#include <string>
#include <vector>

namespace cgfac::mpi {

/// The binary interfaces of MPI libraries: the same functions, with handles and constants of their own.
enum class Abi {
  open_mpi,  ///< handles are addresses of what the library exports (libmpi.so.40)
  mpich,     ///< handles are integers; MPICH, Intel MPI, MVAPICH and Cray MPICH (libmpi.so.12, libmpich.so.12)
  standard,  ///< handles are pointers with small numbers, as MPI 5.0 lays down (libmpi_abi.so.1)
};

/// The name of a binary interface, as messages and JavaScript have it.
[[nodiscard]] const char* name_of(Abi abi);

/// An MPI library that was loaded, and is never unloaded.
class Library {
 public:
  /// Loads the first of these names that the system finds. Throws where it finds none, or what it finds is no MPI.
  static Library load(const std::vector<std::string>& names);

  [[nodiscard]] Abi abi() const { return abi_; }
  /// The file that has the functions of MPI.
  [[nodiscard]] const std::string& path() const { return path_; }
  /// What the library says of itself, its first line.
  [[nodiscard]] const std::string& version() const { return version_; }
  /// The address of something that the library exports. Throws where there is nothing of that name.
  [[nodiscard]] void* symbol(const char* name) const;

 private:
  explicit Library(void* handle) : handle_(handle) {}
  [[nodiscard]] void* find(const char* name) const;
  void recognise();

  void* handle_;
  Abi abi_ = Abi::mpich;
  std::string path_;
  std::string version_;
};

}  // namespace cgfac::mpi
