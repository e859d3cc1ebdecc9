#pragma once

#include <cstddef>
#include <optional>
#include <string>

/// How many threads the system lets this process run at once, and how many its user asks for.
namespace cgfac {

/// The processors that the process may run on (taskset, a cpuset), and no more than its control group's quota of
/// processor time (a container's limit), rounded down; at least 1.
[[nodiscard]] std::size_t allowed_threads();

/// The smallest quota of processors of the control groups that a process is in, as versions 1 and 2 of them have it.
/// `groups`: the file /proc/self/cgroup; `mount`: the folder /sys/fs/cgroup.
[[nodiscard]] std::optional<double> processor_quota(const std::string& groups, const std::string& mount);

/// What CGFAC_NUM_THREADS says.
struct ThreadSetting {
  std::optional<std::size_t> threads{};  ///< where it is a number in range
  std::string refused{};                 ///< the text where it is not
};
/// The variable as it is now; unset and empty are neither.
[[nodiscard]] ThreadSetting thread_setting();

}  // namespace cgfac
