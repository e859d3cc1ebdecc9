#pragma once

#include <array>
#include <string_view>

/// Made by scripts/generate-reports.mjs of binding/node/convert/reports.json.
namespace cgfac {

/// How directions are solved for: automatic chooses one of the others by the estimates of cost.h.
enum class Method { automatic, cg, exact, kfac };

/// The name of each method, in the order of the enum.
inline constexpr std::array<std::string_view, 4> method_names = {"auto", "cg", "exact", "kfac"};

}  // namespace cgfac
