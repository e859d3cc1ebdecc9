#include "node/convert/options.h"

#include <algorithm>
#include <array>
#include <string>
#include <type_traits>

#include "core/base/error.h"
#include "core/base/names.h"
#include "node/convert/arrays.h"

namespace cgfac::node {
namespace {

void assign(const Napi::Value& value, bool& member) {
  member = value.ToBoolean().Value();
}

void assign(const Napi::Value& value, int& member) {
  member = value.As<Napi::Number>().Int32Value();
}

void assign(const Napi::Value& value, std::size_t& member) {
  member = size_of(value);
}

void assign(const Napi::Value& value, double& member) {
  member = number_of(value);
}

// A list that is shorter, or none, leaves zeros.
void assign(const Napi::Value& value, std::array<std::size_t, 3>& member) {
  if (!value.IsArray()) return;
  const auto list = value.As<Napi::Array>();
  for (std::uint32_t i = 0; i < list.Length() && i < member.size(); ++i) member.at(i) = size_of(list.Get(i));
}

void assign(const Napi::Value& value, Damping& member) {
  member.relative = value.IsObject();
  member.value = number_of(member.relative ? value.As<Napi::Object>().Get("relative") : value);
}

// What the option names. The facade has checked it: another name is one that the core was not told of.
template <typename Enum>
Enum named(const char* name, const Napi::Value& value) {
  const std::string given = value.ToString().Utf8Value();
  const auto* const found = std::ranges::find(names_of<Enum>, given);
  if (found == names_of<Enum>.end())
    throw expected(ErrorCode::invalid_value, "a name that the addon knows", name, given);
  return static_cast<Enum>(found - names_of<Enum>.begin());
}

// Each of the options that `Options` has names for.
template <typename Options>
Options read(const Napi::Object& object) {
  Options options{};
  each_option(options, [&]<typename Member>(const char* name, Member& member) {
    const Napi::Value value = object.Get(name);
    if (value.IsUndefined()) return;  // of another kind
    if constexpr (std::is_enum_v<Member>) {
      member = named<Member>(name, value);
    } else {
      assign(value, member);
    }
  });
  return options;
}

}  // namespace

LayerShape layer_shape(const Napi::Object& options) {
  return read<LayerShape>(options);
}

Damping damping(const Napi::Object& options) {
  Damping damping{};
  assign(options.Get("damping"), damping);
  return damping;
}

CgFacOptions cg_fac_options(const Napi::Object& options) {
  return read<CgFacOptions>(options);
}

LayerOptions layer_options(const Napi::Object& options) {
  return read<LayerOptions>(options);
}

}  // namespace cgfac::node
