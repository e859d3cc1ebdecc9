#include "core/threads/workspace_pool.h"

#include <doctest/doctest.h>

#include <utility>

using namespace cgfac;

TEST_CASE("workspace_pool: a workspace is handed out to one task at a time and comes back") {
  WorkspacePool<int> pool;
  auto first = pool.take();
  auto second = pool.take();
  CHECK(first.get() != second.get());
  const int* const address = first.get();
  pool.give(std::move(first));
  CHECK(pool.take().get() == address);
}
