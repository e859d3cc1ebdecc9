#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "support/golden_manifest.h"

namespace cgfac::test {

/// The arrays of a golden case.
class GoldenFile {
 public:
  explicit GoldenFile(const std::string& name) {
    const std::string path = std::string(CGFAC_GOLDEN_DIR) + "/" + name;
    manifest_ = read_golden_manifest(path + ".json");
    std::ifstream data(path + ".bin", std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(data), {});
  }

  [[nodiscard]] const GoldenManifest& manifest() const { return manifest_; }
  [[nodiscard]] bool has(const std::string& name) const {
    return std::ranges::any_of(manifest_.arrays, [&](const auto& array) { return array.name == name; });
  }
  /// The extents of an array.
  [[nodiscard]] const std::vector<std::size_t>& extents(const std::string& name) const { return entry(name).shape; }
  /// An array as it is in the file.
  template <typename T>
  [[nodiscard]] std::vector<T> numbers(const std::string& name) const {
    const GoldenManifest::Array& array = entry(name);
    if (array.type != type_name<T>()) throw std::runtime_error(name + " has another type");
    std::vector<T> result(array.size);
    std::memcpy(result.data(), bytes_.data() + array.offset, array.size * sizeof(T));
    return result;
  }

 private:
  template <typename T>
  static constexpr std::string_view type_name() {
    if constexpr (std::is_same_v<T, std::int32_t>) return "int32";
    return std::is_same_v<T, float> ? "float32" : "float64";
  }
  [[nodiscard]] const GoldenManifest::Array& entry(const std::string& name) const {
    const auto found = std::ranges::find(manifest_.arrays, name, &GoldenManifest::Array::name);
    if (found == manifest_.arrays.end()) throw std::runtime_error("no array " + name);
    return *found;
  }

  GoldenManifest manifest_;
  std::vector<char> bytes_;
};

}  // namespace cgfac::test
