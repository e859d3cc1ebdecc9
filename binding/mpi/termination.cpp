#include "mpi/termination.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <ctime>

namespace cgfac::mpi {
namespace {

/// A rest before the end: MPICH's launcher, which ends every rank then, loses what it has not read by that time.
constexpr timespec rest_before_the_signal{.tv_sec = 0, .tv_nsec = 200'000'000};

// What the handler reads, written before it is installed; a handler of signals may call nothing that allocates.
std::array<char, 160> words{};
std::size_t length = 0;
struct sigaction before{};

/// Runs on any thread of the process, between any two of its instructions.
void end_by(int signal) {
  static_cast<void>(::write(STDERR_FILENO, words.data(), length) < 0);  // nobody is left to tell of it
  ::nanosleep(&rest_before_the_signal, nullptr);
  ::sigaction(signal, &before, nullptr);
  ::raise(signal);  // comes once this has returned
}

/// Whether a process ends by what it does upon a signal: that of the system, or Node's, which restores the terminal and
/// then leaves it to the system. Handlers of programs stay.
bool ends(const struct sigaction& action) {
  if ((action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_DFL) return true;
  return (static_cast<unsigned>(action.sa_flags) & SA_RESETHAND) != 0;
}

}  // namespace

void tell_of_termination(int rank, int size) {
  if (::sigaction(SIGTERM, nullptr, &before) != 0 || !ends(before)) return;
  const int written =
      std::snprintf(words.data(), words.size(),
                    "cgfac: rank %d of %d (process %d) received SIGTERM, which ends the run\n", rank, size, ::getpid());
  length = std::min(static_cast<std::size_t>(std::max(written, 0)), words.size() - 1);
  struct sigaction own{};
  own.sa_handler = end_by;
  ::sigemptyset(&own.sa_mask);
  ::sigaction(SIGTERM, &own, nullptr);
}

void forget_termination() {
  struct sigaction now{};
  if (::sigaction(SIGTERM, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == end_by)
    ::sigaction(SIGTERM, &before, nullptr);
}

}  // namespace cgfac::mpi
