#include "core/base/arena.h"

#include <doctest/doctest.h>

#include <vector>

using namespace cgfac;

TEST_CASE("arena: matrices lie one after another, and what is too much is refused") {
  std::vector<double> memory(10);
  Carver carver(memory);
  const MatrixView<double> first = carver.doubles(2, 3);
  const MatrixView<float> second = carver.floats(1, 3);  // rounded up to two numbers
  CHECK(first.data == memory.data());
  CHECK(first.rows == 2);
  CHECK(first.cols == 3);
  CHECK(static_cast<void*>(second.data) == static_cast<void*>(memory.data() + 6));
  CHECK(carver.rest().size() == 2);
  CHECK(carver.rest().data() == memory.data() + 8);
  CHECK(as_floats(carver.rest()).size() == 4);
  CHECK_THROWS_AS((void)carver.doubles(1, 3), Error);
  CHECK(carver.rest().size() == 2);  // nothing is taken then
  CHECK(carver.numbers(2).size() == 2);
  CHECK(carver.numbers(0).empty());
}
