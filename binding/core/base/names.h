#pragma once

#include <array>
#include <string_view>

namespace cgfac {

/// The names that the values of an enum have as options, in the order of the enum. Each enum that is an option has its
/// own beside it.
template <typename Enum>
inline constexpr std::array<std::string_view, 0> names_of{};

}  // namespace cgfac
