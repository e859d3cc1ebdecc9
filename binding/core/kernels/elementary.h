#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

/// Elementary functions of one float, without branches, so that a loop over them becomes vector instructions. Every
/// result is within 3 units in the last place of the exact one, subnormal numbers included; NaN gives NaN, and
/// infinities, signed zeros and overflow give what IEEE 754-2019, section 9.2, asks for.
///
/// Arguments are reduced as by Cody and Waite (Software Manual for the Elementary Functions, 1980): x = k ln 2 + r with
/// ln 2 in two parts, the first so short that k times it is exact. On what is left stand polynomials of least greatest
/// relative error, by the exchange algorithm of Remez (1934), their coefficients rounded to floats.
namespace cgfac::elementary {

/// The first part of ln 2, of nine bits.
inline constexpr float ln2_high = 355.0F / 512.0F;
/// The second part of ln 2.
inline constexpr float ln2_low = -2.12194440e-4F;

/// What one more in the exponent adds to the bits of a float.
inline constexpr std::int32_t exponent_unit = 1 << 23;

/// The float of some bits.
inline float bits_to_float(std::uint32_t bits) {
  return std::bit_cast<float>(bits);
}

/// 2^k for −127 < k < 128.
inline float power_of_two(std::int32_t k) {
  return bits_to_float(static_cast<std::uint32_t>(k + 127) << 23U);
}

/// The greater of the two, or NaN where x is.
inline float not_below(float x, float least) {
  return x < least ? least : x;
}

/// The smaller of the two, or NaN where x is.
inline float not_above(float x, float most) {
  return x > most ? most : x;
}

/// What x = k ln 2 + r is made of.
struct Reduced {
  float r;
  std::int32_t k;
};

/// The integer nearest to x / ln 2: a float whose last bit is worth 1, and which is large beside the quotient, holds it
/// in its last bits.
inline std::int32_t count_of(float x) {
  constexpr float integers = 12582912.0F;
  const float shifted = (x * std::numbers::log2e_v<float>)+integers;
  return std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(integers);
}

/// What k ln 2 leaves of x.
inline Reduced reduced(float x, std::int32_t k) {
  const auto count = static_cast<float>(k);
  return {.r = (x - (count * ln2_high)) - (count * ln2_low), .k = k};
}

/// The reduction of a number that is not positive; of `least` where it is below that.
inline Reduced reduce_negative(float x, float least) {
  const float bounded = not_below(x, least);
  return reduced(bounded, count_of(bounded));
}

/// The reduction of any number, of `least` where it is below that, with k at most 128: what is larger leaves an r whose
/// exponential overflows. (The bound is one of k, not of x: g++ makes paths of two bounds of one number, and vector
/// instructions compute all of them.)
inline Reduced reduce(float x, float least) {
  const float bounded = not_below(x, least);
  const std::int32_t k = count_of(bounded);
  return reduced(bounded, k < 128 ? k : 128);
}

/// The exponential less 1 for |r| ≤ ½ ln 2: r + r² q(r), relative error of the polynomial 2^−28.4.
inline float expm1_reduced(float r) {
  float q = 0.000199633112F;
  q = (q * r) + 0.00139437534F;
  q = (q * r) + 0.00833321828F;
  q = (q * r) + 0.0416663215F;
  q = (q * r) + 0.166666672F;
  q = (q * r) + 0.5F;
  return r + ((r * r) * q);
}

/// 2^k e^r. 2^k goes in as two factors: a product with the first is exact, the second one overflows, or rounds to
/// subnormal numbers.
inline float exp_of(const Reduced& at) {
  const std::int32_t half = at.k >> 1;
  return ((1.0F + expm1_reduced(at.r)) * power_of_two(half)) * power_of_two(at.k - half);
}

/// The exponential of any number.
inline float exp(float x) {
  return exp_of(reduce(x, -104.0F));
}

/// The exponential of a number that is not positive.
inline float exp_negative(float x) {
  return exp_of(reduce_negative(x, -104.0F));
}

/// The exponential less 1, 2^k (e^r − 1) + (2^k − 1), of a number that is not positive; −0 loses its sign.
inline float expm1_negative(float x) {
  const Reduced at = reduce_negative(x, -30.0F);
  const float scale = power_of_two(at.k);
  return (scale * expm1_reduced(at.r)) + (scale - 1.0F);
}

/// The exponential less 1, 2^k (e^r − 1) + (2^k − 1), by half of it, which does not overflow before the whole.
inline float expm1(float x) {
  const Reduced at = reduce(x, -30.0F);
  const float small = expm1_reduced(at.r);
  const float half = power_of_two(at.k - 1);
  const float large = 2.0F * ((half * small) + (half - 0.5F));
  return std::copysign(at.k == 0 ? small : large, x);
}

/// What a positive normal number m 2^k is made of, ½√2 ≤ m < √2.
struct Split2 {
  float m;
  std::int32_t k;
};

/// A positive normal number as m 2^k; any other one as some m and k.
inline Split2 split2(float x) {
  // the bits of ½√2 taken off, the exponent alone counts how often the number is larger
  constexpr std::int32_t root = 0x3f3504f3;
  const std::int32_t bits = std::bit_cast<std::int32_t>(x) & 0x7fffffff;
  const std::int32_t k = (bits - root) >> 23;
  return {.m = std::bit_cast<float>(bits - (k * exponent_unit)), .k = k};
}

/// The logarithm of 2^k (1 + f), k ln 2 + log(1 + f), ½√2 ≤ 1 + f < √2: f − f²/2 + f³ p(f), relative error of the
/// polynomial 2^−27.2.
inline float log_sum(float k, float f) {
  float p = -0.0763437599F;
  p = (p * f) + 0.12765415F;
  p = (p * f) + -0.131620035F;
  p = (p * f) + 0.142013714F;
  p = (p * f) + -0.166231453F;
  p = (p * f) + 0.200012356F;
  p = (p * f) + -0.250008255F;
  p = (p * f) + 0.333333313F;
  const float square = f * f;
  const float tail = ((square * f) * p) + (k * ln2_low);
  return (k * ln2_high) + (f + (tail - (0.5F * square)));
}

/// The logarithm: of a negative number NaN, of either zero −∞.
inline float log(float x) {
  constexpr float least_normal = 1.17549435e-38F;
  constexpr float most = 3.40282347e38F;
  const bool subnormal = x < least_normal;
  const Split2 parts = split2(subnormal ? x * 8388608.0F : x);
  const auto k = static_cast<float>(subnormal ? parts.k - 23 : parts.k);
  const float inside = log_sum(k, parts.m - 1.0F);
  const float positive = x > most ? x : inside;
  const float ordered = x < 0.0F ? bits_to_float(0x7fc00000U) : positive;
  const float defined = x == 0.0F ? bits_to_float(0xff800000U) : ordered;
  return x != x ? x : defined;
}

/// The logarithm of 1 + x, −1 < x < ∞. What is lost of 1 + x is given back to the fraction (Kahan).
inline float log1p_finite(float x) {
  const float sum = 1.0F + x;
  const float lost = x < 1.0F ? x - (sum - 1.0F) : 1.0F - (sum - x);
  const Split2 parts = split2(sum);
  const auto scale = std::bit_cast<float>(0x3f800000 - (parts.k * exponent_unit));
  const float returned = sum < 1e9F ? lost * scale : 0.0F;
  return log_sum(static_cast<float>(parts.k), (parts.m - 1.0F) + returned);
}

/// The logarithm of 1 + x: below −1 NaN, at −1 −∞.
inline float log1p(float x) {
  constexpr float most = 3.40282347e38F;
  const float inside = std::copysign(log1p_finite(x), x);
  const float above = x > most ? x : inside;
  const float ordered = x < -1.0F ? bits_to_float(0x7fc00000U) : above;
  const float defined = x == -1.0F ? bits_to_float(0xff800000U) : ordered;
  return x != x ? x : defined;
}

/// The hyperbolic tangent: tanh |x| = −t / (2 + t), t = e^(−2|x|) − 1.
inline float tanh(float x) {
  const float t = expm1_negative(-2.0F * std::fabs(x));
  return std::copysign(t / (2.0F + t), x);
}

/// The logistic function 1 / (1 + e^−x), for a negative x as e^x / (1 + e^x).
inline float sigmoid(float x) {
  const float e = exp_negative(-std::fabs(x));
  return (x < 0.0F ? e : 1.0F) / (1.0F + e);
}

/// The exponential linear unit: x, below 0 e^x − 1.
inline float elu(float x) {
  const float below = expm1_negative(x);
  return x < 0.0F ? below : x;
}

/// The smooth rectifier log(1 + e^x) = max(x, 0) + log(1 + e^−|x|).
inline float softplus(float x) {
  const float rest = log1p_finite(exp_negative(-std::fabs(x)));
  return x != x ? x : (x > 0.0F ? x : 0.0F) + rest;
}

/// The error function: x + x s(x²) below 1, above it 1 − e^−q(|x|), q for −log erfc.
inline float erf(float x) {
  const float size = std::fabs(x);
  const float square = x * x;
  float s = 7.85386073e-05F;
  s = (s * square) + -0.000801019371F;
  s = (s * square) + 0.00518832775F;
  s = (s * square) + -0.0268538129F;
  s = (s * square) + 0.112835854F;
  s = (s * square) + -0.37612626F;
  s = (s * square) + 0.128379107F;
  const float near = x + (x * s);
  const float t = size > 3.93F ? 3.93F : size;
  float q = 2.1697575e-05F;
  q = (q * t) + -0.000441472162F;
  q = (q * t) + 0.00420528231F;
  q = (q * t) + -0.0252103321F;
  q = (q * t) + 0.108422086F;
  q = (q * t) + 0.633216381F;
  q = (q * t) + 1.12958026F;
  q = (q * t) + -0.000188466773F;
  const float far = std::copysign(1.0F - exp_negative(-q), x);
  return size > 1.0F ? far : near;
}

/// The square root, rounded as IEEE 754 asks for.
inline float sqrt(float x) {
  return std::sqrt(x);
}

/// The inverse of the square root.
inline float rsqrt(float x) {
  return 1.0F / std::sqrt(x);
}

}  // namespace cgfac::elementary
