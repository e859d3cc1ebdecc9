// A libmpi_abi.so.1 for tests: the binary interface of the MPI standard 5.0, in the functions that the package calls,
// on top of MPICH. Handles and constants were typed from the standard's mpi.h, by the names that the package calls them
// by; one that is unknown here ends the process.
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>

namespace {

using Handle = void*;

const std::map<std::uintptr_t, int> predefined = {
    {0x100, 0x04000000},  // MPI_COMM_NULL
    {0x101, 0x44000000},  // MPI_COMM_WORLD
    {0x142, 0x54000001},  // MPI_ERRORS_RETURN
    {0x180, 0x2c000000},  // MPI_REQUEST_NULL
    {0x210, 0x4c00040a},  // MPI_FLOAT
    {0x214, 0x4c00080b},  // MPI_DOUBLE
    {0x247, 0x4c00010d},  // MPI_BYTE
};
constexpr int mpich_funneled = 1;
constexpr int standard_funneled = 1024;
void* const mpich_status_ignore = reinterpret_cast<void*>(1);

// What is not predefined is MPICH's own number: above the standard's, which end at 0x3ff.
int in(Handle handle) {
  const auto number = reinterpret_cast<std::uintptr_t>(handle);
  const auto found = predefined.find(number);
  if (found != predefined.end()) return found->second;
  if (number <= 0x3ff) {
    std::fprintf(stderr, "standard-abi: no handle of the standard that is known here: %#zx\n", number);
    std::abort();
  }
  return static_cast<int>(number);
}

Handle out(int handle) {
  for (const auto& [standard, own] : predefined)
    if (own == handle) return reinterpret_cast<Handle>(standard);
  return reinterpret_cast<Handle>(static_cast<std::uintptr_t>(static_cast<unsigned>(handle)));
}

template <typename Function>
Function* of_mpich(const char* name) {
  static void* const library = ::dlopen("libmpich.so.12", RTLD_NOW | RTLD_LOCAL);
  void* const found = library == nullptr ? nullptr : ::dlsym(library, name);
  if (found == nullptr) {
    std::fprintf(stderr, "standard-abi: no %s in libmpich.so.12\n", name);
    std::abort();
  }
  return reinterpret_cast<Function*>(found);
}

// By reference: arguments are evaluated in any order.
int begun(int code, const int& made, Handle* to) {
  *to = out(made);
  return code;
}

}  // namespace

extern "C" {

int MPI_Get_library_version(char* text, int* length) {
  return of_mpich<int(char*, int*)>("MPI_Get_library_version")(text, length);
}
int MPI_Initialized(int* flag) {
  return of_mpich<int(int*)>("MPI_Initialized")(flag);
}
int MPI_Init_thread(int* count, char*** words, int required, int* provided) {
  if (required != standard_funneled) std::abort();
  int level = 0;
  const int code = of_mpich<int(int*, char***, int, int*)>("MPI_Init_thread")(count, words, mpich_funneled, &level);
  *provided = level >= mpich_funneled ? standard_funneled : 0;
  return code;
}
int MPI_Comm_dup(Handle from, Handle* to) {
  int made = 0;
  return begun(of_mpich<int(int, int*)>("MPI_Comm_dup")(in(from), &made), made, to);
}
int MPI_Comm_free(Handle* communicator) {
  int own = in(*communicator);
  return begun(of_mpich<int(int*)>("MPI_Comm_free")(&own), own, communicator);
}
int MPI_Comm_rank(Handle of, int* rank) {
  return of_mpich<int(int, int*)>("MPI_Comm_rank")(in(of), rank);
}
int MPI_Comm_size(Handle of, int* size) {
  return of_mpich<int(int, int*)>("MPI_Comm_size")(in(of), size);
}
int MPI_Comm_set_errhandler(Handle of, Handle handler) {
  return of_mpich<int(int, int)>("MPI_Comm_set_errhandler")(in(of), in(handler));
}
int MPI_Ialltoall(const void* from, int count, Handle type, void* to, int count_to, Handle type_to, Handle of,
                  Handle* request) {
  int made = 0;
  return begun(of_mpich<int(const void*, int, int, void*, int, int, int, int*)>("MPI_Ialltoall")(
                   from, count, in(type), to, count_to, in(type_to), in(of), &made),
               made, request);
}
int MPI_Ialltoallv(const void* from, const int* counts, const int* offsets, Handle type, void* to, const int* counts_to,
                   const int* offsets_to, Handle type_to, Handle of, Handle* request) {
  int made = 0;
  return begun(
      of_mpich<int(const void*, const int*, const int*, int, void*, const int*, const int*, int, int, int*)>(
          "MPI_Ialltoallv")(from, counts, offsets, in(type), to, counts_to, offsets_to, in(type_to), in(of), &made),
      made, request);
}
int MPI_Iallgatherv(const void* from, int count, Handle type, void* to, const int* counts, const int* offsets,
                    Handle type_to, Handle of, Handle* request) {
  int made = 0;
  return begun(of_mpich<int(const void*, int, int, void*, const int*, const int*, int, int, int*)>("MPI_Iallgatherv")(
                   from, count, in(type), to, counts, offsets, in(type_to), in(of), &made),
               made, request);
}
int MPI_Ibcast(void* numbers, int count, Handle type, int root, Handle of, Handle* request) {
  int made = 0;
  return begun(
      of_mpich<int(void*, int, int, int, int, int*)>("MPI_Ibcast")(numbers, count, in(type), root, in(of), &made), made,
      request);
}
int MPI_Test(Handle* request, int* flag, void* status) {
  if (status != nullptr) std::abort();  // MPI_STATUS_IGNORE of the standard
  int own = in(*request);
  return begun(of_mpich<int(int*, int*, void*)>("MPI_Test")(&own, flag, mpich_status_ignore), own, request);
}
int MPI_Error_string(int code, char* text, int* length) {
  return of_mpich<int(int, char*, int*)>("MPI_Error_string")(code, text, length);
}
int MPI_Abort(Handle of, int code) {
  return of_mpich<int(int, int)>("MPI_Abort")(in(of), code);
}
int MPI_Finalize() {
  return of_mpich<int()>("MPI_Finalize")();
}

}  // extern "C"
