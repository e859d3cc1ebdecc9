#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace cgfac::test {

/// What the JSON file of a golden case says of its arrays, which are in the .bin file beside it
/// (test/golden/generate.py, test/golden/kinds/generate.py).
struct GoldenManifest {
  struct Array {
    std::string name;
    std::vector<std::size_t> shape;
    std::size_t size = 0;    ///< in numbers
    std::string type;        ///< float32, float64 or int32
    std::size_t offset = 0;  ///< in bytes
  };
  std::vector<Array> arrays;
  std::size_t batch = 0;
  // of a case of the dense layer
  std::size_t fisher_rows = 0;
  std::size_t in_features = 0;
  std::size_t out_features = 0;
  bool bias = false;
  std::vector<double> dampings;
  // of a case of another kind
  std::string kind;
  std::size_t fisher_batch = 0;
  double relative_damping = 0;
  std::vector<std::size_t> strides;
  std::vector<std::size_t> dilations;
  bool same_padding = false;
};

/// Throws std::runtime_error where there is no such file. In a source of its own, because a JSON library takes long to
/// compile.
[[nodiscard]] GoldenManifest read_golden_manifest(const std::string& path);

}  // namespace cgfac::test
