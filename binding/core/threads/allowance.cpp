#include "core/threads/allowance.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "core/threads/thread_pool.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace cgfac {
namespace {

// The processors of the affinity mask, whose size is that of the kernel's own; of other systems than Linux those that
// the C++ library counts.
std::size_t affine_processors() {
#if defined(__linux__)
  constexpr std::size_t largest_mask = 1U << 16U;
  for (std::size_t processors = 1024; processors <= largest_mask; processors *= 2) {
    std::vector<cpu_set_t> mask(CPU_ALLOC_SIZE(processors) / sizeof(cpu_set_t));
    const std::size_t bytes = mask.size() * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, mask.data()) == 0) return static_cast<std::size_t>(CPU_COUNT_S(bytes, mask.data()));
  }
#endif
  return std::thread::hardware_concurrency();
}

std::optional<double> smaller(std::optional<double> x, std::optional<double> y) {
  if (!x) return y;
  return y ? std::min(x, y) : x;
}

// Version 2: "max 100000" or "150000 100000", microseconds of a period.
std::optional<double> quota_of_2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0;
  double period = 0;
  if (!(file >> quota >> period) || !(quota > 0 && period > 0)) return std::nullopt;
  return quota / period;
}

// Version 1: a file for each, with −1 where there is no limit.
std::optional<double> quota_of_1(const std::string& folder) {
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us");
  std::ifstream period_file(folder + "/cpu.cfs_period_us");
  double quota = 0;
  double period = 0;
  if (!(quota_file >> quota && period_file >> period) || !(quota > 0 && period > 0)) return std::nullopt;
  return quota / period;
}

// The quotas of a group and of all above it, to the root of what is mounted: within a container that is its own.
template <typename QuotaOf>
std::optional<double> smallest_quota(const std::string& mount, std::string group, QuotaOf quota_of) {
  std::optional<double> quota = quota_of(mount);
  while (group.size() > 1) {
    quota = smaller(quota, quota_of(mount + group));
    group.resize(group.rfind('/'));
  }
  return quota;
}

bool lists(std::string_view controllers, std::string_view wanted) {
  while (!controllers.empty()) {
    const std::size_t end = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, end) == wanted) return true;
    controllers.remove_prefix(std::min(end + 1, controllers.size()));
  }
  return false;
}

}  // namespace

// Lines "0::/group" of version 2, and "4:cpu,cpuacct:/group" of version 1.
std::optional<double> processor_quota(const std::string& groups, const std::string& mount) {
  std::optional<double> quota;
  std::ifstream file(groups);
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (group.empty() || group.front() != '/') continue;
    if (controllers.empty()) {
      quota = smaller(quota, smallest_quota(mount, group, quota_of_2));
      quota = smaller(quota, smallest_quota(mount + "/unified", group, quota_of_2));
    } else if (lists(controllers, "cpu")) {
      quota = smaller(quota, smallest_quota(std::string(mount).append("/").append(controllers), group, quota_of_1));
      quota = smaller(quota, smallest_quota(mount + "/cpu", group, quota_of_1));
    }
  }
  return quota;
}

std::size_t allowed_threads() {
  const std::size_t processors = affine_processors();
  const std::optional<double> quota = processor_quota("/proc/self/cgroup", "/sys/fs/cgroup");
  const std::size_t limit =
      quota && *quota < static_cast<double>(processors) ? static_cast<std::size_t>(*quota) : processors;
  return std::clamp<std::size_t>(limit, 1, ThreadPool::max_threads);
}

ThreadSetting thread_setting() {
  const char* const text =
      std::getenv("CGFAC_NUM_THREADS");  // NOLINT(concurrency-mt-unsafe): nothing here writes to the environment
  if (text == nullptr || *text == '\0') return {};
  const std::string_view view(text);
  std::size_t threads = 0;
  const auto [end, error] = std::from_chars(view.begin(), view.end(), threads);
  if (error == std::errc() && end == view.end() && threads > 0 && threads <= ThreadPool::max_threads)
    return {.threads = threads};
  return {.refused = std::string(view)};
}

}  // namespace cgfac
