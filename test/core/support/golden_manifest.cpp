#include "support/golden_manifest.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace cgfac::test {

GoldenManifest read_golden_manifest(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("no golden case " + path);
  const nlohmann::json json = nlohmann::json::parse(file);
  const std::vector<std::size_t> ones{1, 1};
  GoldenManifest manifest;
  manifest.batch = json.at("batch");
  manifest.bias = json.value("bias", false);
  if (json.contains("kind")) {
    manifest.kind = json.at("kind");
    manifest.fisher_batch = json.at("fisherBatch");
    manifest.relative_damping = json.at("relativeDamping");
    manifest.strides = json.value("strides", ones);
    manifest.dilations = json.value("dilations", ones);
    manifest.same_padding = json.value("padding", "valid") == "same";
  } else {
    manifest.fisher_rows = json.at("fisherRows");
    manifest.in_features = json.at("inFeatures");
    manifest.out_features = json.at("outFeatures");
    manifest.dampings = json.at("dampings").get<std::vector<double>>();
  }
  for (const auto& entry : json.at("arrays")) {
    const auto shape = entry.at("shape").get<std::vector<std::size_t>>();
    std::size_t size = 1;
    for (const std::size_t extent : shape) size *= extent;
    manifest.arrays.push_back({.name = entry.at("name"),
                               .shape = shape,
                               .size = size,
                               .type = entry.at("dtype"),
                               .offset = entry.at("offset")});
  }
  return manifest;
}

}  // namespace cgfac::test
