#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace cgfac::test {

/// What the JSON file of a golden case says of its arrays, which are in the .bin file beside it
/// (test/golden/generate.py).
struct GoldenManifest {
  struct Array {
    std::string name;
    std::size_t size = 0;    ///< in numbers
    bool single = false;     ///< float32, else float64
    std::size_t offset = 0;  ///< in bytes
  };
  std::vector<Array> arrays;
  std::size_t batch = 0;
  std::size_t fisher_rows = 0;
  std::size_t in_features = 0;
  std::size_t out_features = 0;
  bool bias = false;
  std::vector<double> dampings;
};

/// Throws std::runtime_error where there is no such file. In a source of its own, because a JSON library takes long to
/// compile.
[[nodiscard]] GoldenManifest read_golden_manifest(const std::string& path);

}  // namespace cgfac::test
