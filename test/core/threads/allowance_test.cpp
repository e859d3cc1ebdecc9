#include "core/threads/allowance.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/threads/thread_pool.h"

using namespace cgfac;

namespace {

// A folder that stands for /sys/fs/cgroup, with the list of groups beside it.
class Groups {
 public:
  explicit Groups(const std::string& list) {
    std::string name = (std::filesystem::temp_directory_path() / "cgfac-groups-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    root_ = name;
    write("list", list);
  }
  ~Groups() { std::filesystem::remove_all(root_); }
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  [[nodiscard]] std::optional<double> quota() const { return processor_quota(root_ / "list", root_); }

 private:
  std::filesystem::path root_;
};

}  // namespace

TEST_CASE("allowance: the quota of version 2 is the smallest of the groups above") {
  const Groups groups("0::/batch/job\n");
  CHECK_FALSE(groups.quota());
  groups.write("batch/job/cpu.max", "max 100000\n");
  CHECK_FALSE(groups.quota());
  groups.write("batch/cpu.max", "150000 100000\n");
  CHECK(groups.quota() == 1.5);
  groups.write("batch/job/cpu.max", "50000 100000\n");
  CHECK(groups.quota() == 0.5);
  groups.write("cpu.max", "20000 100000\n");
  CHECK(groups.quota() == 0.2);
}

TEST_CASE("allowance: the quota of version 1 is that of the group's processor controller") {
  const Groups groups("12:cpuset:/job\n4:cpu,cpuacct:/job\n1:name=systemd:/job\n");
  CHECK_FALSE(groups.quota());
  groups.write("cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
  groups.write("cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  CHECK_FALSE(groups.quota());
  groups.write("cpu,cpuacct/job/cpu.cfs_quota_us", "300000\n");
  CHECK(groups.quota() == 3);
}

TEST_CASE("allowance: a list of groups that is missing or strange means no quota") {
  CHECK_FALSE(processor_quota("/nowhere/cgroup", "/nowhere"));
  CHECK_FALSE(Groups("\n::\n0:\n3:cpu:job\nabc\n").quota());
}

TEST_CASE("allowance: no more threads than the processors that the process may run on") {
  cpu_set_t before;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  CHECK(allowed_threads() <= static_cast<std::size_t>(CPU_COUNT(&before)));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (std::size_t i = 0; CPU_COUNT(&one) == 0; ++i) {
    if (CPU_ISSET(i, &before)) CPU_SET(i, &one);
  }
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(allowed_threads() == 1);
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
}

TEST_CASE("allowance: CGFAC_NUM_THREADS is a number in range, or refused by its text") {
  const auto with = [](const char* value) {
    setenv("CGFAC_NUM_THREADS", value, 1);
    const ThreadSetting setting = thread_setting();
    CHECK(ThreadPool::default_threads() == setting.threads.value_or(allowed_threads()));
    unsetenv("CGFAC_NUM_THREADS");
    return setting;
  };
  CHECK(with("3").threads == 3);
  CHECK(with("1024").threads == 1024);
  CHECK(with("").refused.empty());
  CHECK_FALSE(with("").threads);
  for (const char* const refused : {"0", "1025", "-1", "two", "2.0", " 2", "2x", "99999999999999999999"}) {
    CHECK(with(refused).refused == refused);
    CHECK_FALSE(with(refused).threads);
  }
  CHECK(thread_setting().refused.empty());
}
