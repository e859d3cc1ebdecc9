#include "core/threads/strand.h"

#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <numeric>
#include <vector>

using namespace cgfac;

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
