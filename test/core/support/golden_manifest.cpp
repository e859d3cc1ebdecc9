#include "support/golden_manifest.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace cgfac::test {

GoldenManifest read_golden_manifest(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("no golden case " + path);
  const nlohmann::json json = nlohmann::json::parse(file);
  GoldenManifest manifest{.arrays = {},
                          .batch = json.at("batch"),
                          .fisher_rows = json.at("fisherRows"),
                          .in_features = json.at("inFeatures"),
                          .out_features = json.at("outFeatures"),
                          .bias = json.at("bias"),
                          .dampings = json.at("dampings")};
  for (const auto& entry : json.at("arrays")) {
    std::size_t size = 1;
    for (const auto& extent : entry.at("shape")) size *= extent.get<std::size_t>();
    manifest.arrays.push_back({.name = entry.at("name"),
                               .size = size,
                               .single = entry.at("dtype") == "float32",
                               .offset = entry.at("offset")});
  }
  return manifest;
}

}  // namespace cgfac::test
