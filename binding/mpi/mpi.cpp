#include "mpi/mpi.h"

#include <array>
#include <cstdint>
#include <string>

#include "mpi/failure.h"

namespace cgfac::mpi {
namespace {

/// Longer than MPI_MAX_ERROR_STRING of any of them (512).
constexpr std::size_t longest_error = 1024;

/// The constants of a binary interface.
template <typename Handle>
struct Constants {
  Handle world;
  Handle no_communicator;
  Handle errors_return;
  Handle no_request;
  Handle one_byte;
  Handle four_bytes;
  Handle eight_bytes;
  void* ignored_status;
  int funneled;
};

/// The functions that are called, with MPI's own signatures.
template <typename Handle>
struct Functions {
  int (*initialized)(int*);
  int (*init_thread)(int*, char***, int, int*);
  int (*comm_dup)(Handle, Handle*);
  int (*comm_free)(Handle*);
  int (*comm_rank)(Handle, int*);
  int (*comm_size)(Handle, int*);
  int (*comm_set_errhandler)(Handle, Handle);
  int (*ialltoall)(const void*, int, Handle, void*, int, Handle, Handle, Handle*);
  int (*ialltoallv)(const void*, const int*, const int*, Handle, void*, const int*, const int*, Handle, Handle,
                    Handle*);
  int (*iallgatherv)(const void*, int, Handle, void*, const int*, const int*, Handle, Handle, Handle*);
  int (*ibcast)(void*, int, Handle, int, Handle, Handle*);
  int (*test)(Handle*, int*, void*);
  int (*error_string)(int, char*, int*);
  int (*abort)(Handle, int);
  int (*finalize)();

  explicit Functions(const Library& library) {
    const auto bind = [&library](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(library.symbol(name));
    };
    bind(initialized, "MPI_Initialized");
    bind(init_thread, "MPI_Init_thread");
    bind(comm_dup, "MPI_Comm_dup");
    bind(comm_free, "MPI_Comm_free");
    bind(comm_rank, "MPI_Comm_rank");
    bind(comm_size, "MPI_Comm_size");
    bind(comm_set_errhandler, "MPI_Comm_set_errhandler");
    bind(ialltoall, "MPI_Ialltoall");
    bind(ialltoallv, "MPI_Ialltoallv");
    bind(iallgatherv, "MPI_Iallgatherv");
    bind(ibcast, "MPI_Ibcast");
    bind(test, "MPI_Test");
    bind(error_string, "MPI_Error_string");
    bind(abort, "MPI_Abort");
    bind(finalize, "MPI_Finalize");
  }
};

/// The calls with handles of one type.
template <typename Handle>
class MpiOf final : public Mpi {
 public:
  MpiOf(const Library& library, const Constants<Handle>& constants)
      : call_(library),
        constants_(constants),
        communicator_(constants.no_communicator),
        request_(constants.no_request) {}

  void init() override {
    int before = 0;
    check(call_.initialized(&before), "MPI_Initialized");
    if (before != 0)
      throw Failure(FailureKind::library, "another part of this process has started MPI, and may call it at any time");
    int level = 0;
    check(call_.init_thread(nullptr, nullptr, constants_.funneled, &level), "MPI_Init_thread");
    if (level < constants_.funneled)
      throw Failure(FailureKind::library, "its MPI allows no threads (MPI_THREAD_FUNNELED is what is needed)");
    // A rank that is gone, or calls something else, is an error to report, and no reason to end the process here. Open
    // MPI reports what happens in a non-blocking collective to the first communicator, whichever it is of.
    check(call_.comm_set_errhandler(constants_.world, constants_.errors_return), "MPI_Comm_set_errhandler");
    check(call_.comm_dup(constants_.world, &communicator_), "MPI_Comm_dup");
    check(call_.comm_set_errhandler(communicator_, constants_.errors_return), "MPI_Comm_set_errhandler");
    check(call_.comm_rank(communicator_, &rank_), "MPI_Comm_rank");
    check(call_.comm_size(communicator_, &size_), "MPI_Comm_size");
  }

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }

  void begin_alltoall(const std::byte* from, std::byte* to, int bytes) override {
    check(call_.ialltoall(from, bytes, constants_.one_byte, to, bytes, constants_.one_byte, communicator_, &request_),
          "MPI_Ialltoall");
  }

  void begin_alltoallv(const Blocks& from, const Blocks& to, Unit unit) override {
    check(call_.ialltoallv(from.memory, from.counts, from.offsets, type(unit), to.memory, to.counts, to.offsets,
                           type(unit), communicator_, &request_),
          "MPI_Ialltoallv");
  }

  void begin_allgatherv(const std::byte* from, int count, const Blocks& to, Unit unit) override {
    check(call_.iallgatherv(from, count, type(unit), to.memory, to.counts, to.offsets, type(unit), communicator_,
                            &request_),
          "MPI_Iallgatherv");
  }

  void begin_bcast(std::byte* numbers, int count, Unit unit, int root) override {
    check(call_.ibcast(numbers, count, type(unit), root, communicator_, &request_), "MPI_Ibcast");
  }

  [[nodiscard]] bool done() override {
    int flag = 0;
    check(call_.test(&request_, &flag, constants_.ignored_status), "MPI_Test");
    return flag != 0;
  }

  void abort(int code) override { call_.abort(constants_.world, code); }

  void finalize() override {
    check(call_.comm_free(&communicator_), "MPI_Comm_free");
    check(call_.finalize(), "MPI_Finalize");
  }

 private:
  [[nodiscard]] Handle type(Unit unit) const {
    switch (unit) {
      case Unit::four:
        return constants_.four_bytes;
      case Unit::eight:
        return constants_.eight_bytes;
      case Unit::one:
        break;
    }
    return constants_.one_byte;
  }

  void check(int code, const char* function) const {
    if (code == 0) return;  // MPI_SUCCESS
    std::array<char, longest_error> text{};
    int length = 0;
    call_.error_string(code, text.data(), &length);
    throw Failure(FailureKind::communication, std::string(function) + " failed: " + text.data());
  }

  Functions<Handle> call_;
  Constants<Handle> constants_;
  Handle communicator_;
  Handle request_;
  int rank_ = 0;
  int size_ = 1;
};

// Whatever a handle points to is the library's own.
void* pointer(std::uintptr_t number) {
  return reinterpret_cast<void*>(number);  // NOLINT(performance-no-int-to-ptr): the standard has numbers there
}

// Of mpi.h of Open MPI 4: addresses of what the library exports.
Constants<void*> constants_of_open_mpi(const Library& library) {
  return {.world = library.symbol("ompi_mpi_comm_world"),
          .no_communicator = library.symbol("ompi_mpi_comm_null"),
          .errors_return = library.symbol("ompi_mpi_errors_return"),
          .no_request = library.symbol("ompi_request_null"),
          .one_byte = library.symbol("ompi_mpi_byte"),
          .four_bytes = library.symbol("ompi_mpi_float"),
          .eight_bytes = library.symbol("ompi_mpi_double"),
          .ignored_status = nullptr,
          .funneled = 1};
}

// Of mpi.h of MPICH 3 and 4, whose binary interface Intel MPI, MVAPICH and Cray MPICH share.
Constants<int> constants_of_mpich() {
  return {.world = 0x44000000,
          .no_communicator = 0x04000000,
          .errors_return = 0x54000001,
          .no_request = 0x2c000000,
          .one_byte = 0x4c00010d,
          .four_bytes = 0x4c00040a,
          .eight_bytes = 0x4c00080b,
          .ignored_status = pointer(1),
          .funneled = 1};
}

// Of the MPI standard 5.0, "Application Binary Interface".
Constants<void*> constants_of_standard() {
  return {.world = pointer(0x101),
          .no_communicator = pointer(0x100),
          .errors_return = pointer(0x142),
          .no_request = pointer(0x180),
          .one_byte = pointer(0x247),
          .four_bytes = pointer(0x210),
          .eight_bytes = pointer(0x214),
          .ignored_status = nullptr,
          .funneled = 1024};
}

}  // namespace

std::unique_ptr<Mpi> mpi_of(const Library& library) {
  switch (library.abi()) {
    case Abi::open_mpi:
      return std::make_unique<MpiOf<void*>>(library, constants_of_open_mpi(library));
    case Abi::standard:
      return std::make_unique<MpiOf<void*>>(library, constants_of_standard());
    case Abi::mpich:
      break;
  }
  return std::make_unique<MpiOf<int>>(library, constants_of_mpich());
}

}  // namespace cgfac::mpi
