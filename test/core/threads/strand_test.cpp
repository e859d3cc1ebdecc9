#include "core/threads/strand.h"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <memory>
#include <new>
#include <numeric>
#include <vector>

#include "support/allocations.h"

using namespace cgfac;
using namespace cgfac::test;

TEST_CASE("strand: tasks of a strand keep their order and never overlap") {
  std::vector<int> order;  // unguarded on purpose: ThreadSanitizer sees any overlap
  std::promise<void> end;
  ThreadPool pool(4);
  const auto strand = std::make_shared<Strand>(pool);
  for (int i = 0; i < 200; ++i) strand->submit([&order, i] { order.push_back(i); });
  strand->submit([&end] { end.set_value(); });
  end.get_future().wait();
  std::vector<int> expected(200);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(order == expected);
}

TEST_CASE("strand: two strands do not wait for each other") {
  ThreadPool pool(2);
  const auto first = std::make_shared<Strand>(pool);
  const auto second = std::make_shared<Strand>(pool);
  std::promise<void> from_second;
  std::promise<void> end;
  first->submit([&] {
    from_second.get_future().wait();  // would never come if `second` queued behind `first`
    end.set_value();
  });
  second->submit([&] { from_second.set_value(); });
  end.get_future().wait();
  CHECK(true);
}

TEST_CASE("strand: a task that there is no memory for is refused, and those before and after it run") {
  const auto run_with = [](long after) {
    ThreadPool pool(1);
    const auto strand = std::make_shared<Strand>(pool);
    int runs = 0;
    int submitted = 0;
    std::promise<void> begin;
    std::promise<void> end;
    const std::shared_future<void> begun = begin.get_future().share();
    strand->submit([&begun] { begun.wait(); });
    std::atomic<bool> reached = false;
    {
      const AtAllocation there(after, [&reached] {
        reached = true;
        throw std::bad_alloc();
      });
      for (int i = 0; i < 40; ++i) {
        try {
          strand->submit([&runs] { ++runs; });
          ++submitted;
        } catch (const std::bad_alloc&) {
        }
      }
      try {
        strand->submit([&end] { end.set_value(); });
      } catch (const std::bad_alloc&) {
        strand->submit([&end] { end.set_value(); });
      }
      begin.set_value();
      end.get_future().wait();
    }
    CHECK(runs == submitted);
    return reached.load();
  };
  long after = 0;
  while (run_with(after)) ++after;
  CHECK(after > 20);
}
