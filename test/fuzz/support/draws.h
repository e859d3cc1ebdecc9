#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "support/reference.h"

/// What targets of libFuzzer have in common.
namespace cgfac::fuzz {

/// Numbers that hostile data has.
inline constexpr std::array hostile_numbers{
    std::numeric_limits<float>::quiet_NaN(),  std::numeric_limits<float>::infinity(),
    -std::numeric_limits<float>::infinity(),  std::numeric_limits<float>::max(),
    std::numeric_limits<float>::lowest(),     std::numeric_limits<float>::min(),
    std::numeric_limits<float>::denorm_min(), -0.0F};

/// A fuzzer's bytes as choices and numbers, one after another; where they have come to an end, zeros.
class Draws {
 public:
  explicit Draws(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }
  bool flag() { return byte() % 2 == 1; }
  /// 0, …, limit − 1, of at most 256.
  std::size_t below(std::size_t limit) { return byte() % limit; }
  /// 1, …, most.
  std::size_t size(std::size_t most) { return 1 + below(most); }
  template <typename T, std::size_t count>
  T among(const std::array<T, count>& values) {
    return values[below(count)];
  }
  /// 10^least, …, 10^most, and powers between them.
  double power_of_ten(double least, double most) { return std::pow(10, least + ((most - least) * byte() / 255)); }

  /// An array in one of many patterns: random, constant, sparse, of scattered scales, nearly cancelling, the bytes
  /// themselves; times a power of two, which is near 1 in half of the cases, then within 10^±12, then anything that
  /// float32 has; and one hostile number in a few.
  std::vector<float> numbers(std::size_t count) {
    std::vector<float> values = pattern(count);
    const int exponent = scale();
    for (float& value : values) value = std::ldexp(value, exponent);
    const std::size_t choice = below(64);
    if (choice < hostile_numbers.size() && count > 0) values[below(count)] = hostile_numbers[choice];
    return values;
  }

 private:
  int scale() {
    const std::size_t how = below(8);
    const int drawn = byte();
    if (how < 4) return (drawn % 21) - 10;
    return how < 7 ? (drawn % 81) - 40 : drawn - 128;
  }
  std::vector<float> pattern(std::size_t count) {
    const std::size_t how = below(8);
    std::vector<float> values = test::random_numbers<float>(count, byte());
    switch (how) {
      case 0:
        values.assign(count, 1.0F);
        break;
      case 1:  // sparse
        for (float& value : values) value = value > 0.75F ? value : 0.0F;
        break;
      case 2:  // each of a scale of its own
        for (float& value : values) value = std::ldexp(value, static_cast<int>(below(64)) - 32);
        break;
      case 3:  // sums that nearly cancel
        for (std::size_t i = 0; i < count; ++i) values[i] = (i % 2 == 0 ? 1.0F : -1.0F) * (1 + (values[i] * 0x1p-16F));
        break;
      case 4:  // any bits
        for (float& value : values) {
          std::array<std::uint8_t, sizeof(float)> bits{};
          for (std::uint8_t& each : bits) each = byte();
          std::memcpy(&value, bits.data(), bits.size());
        }
        break;
      default:
        break;
    }
    return values;
  }

  std::span<const std::uint8_t> bytes_;
};

}  // namespace cgfac::fuzz
