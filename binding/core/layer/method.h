#pragma once

#include "core/base/names.h"

/// Made by scripts/generate-reports.mjs of binding/node/convert/reports.json.
namespace cgfac {

/// How directions are solved for: automatic chooses one of the others by the estimates of cost.h.
enum class Method { automatic, cg, exact, kfac };

/// The names of the methods as options.
template <>
inline constexpr std::array<std::string_view, 4> names_of<Method>{"auto", "cg", "exact", "kfac"};

}  // namespace cgfac
