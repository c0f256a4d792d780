// Vectors of float or double as wide as the instruction set of this build, and functions of them.
//
// The results are the same for every width: no operation looks across lanes. Multiply-adds are
// written out and never left to the compiler, which fuses where it likes. Without such an
// instruction (the baseline of x86-64) they round twice, and answers differ in the last bits.

#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define SKAERNN_BYTES 64
#define SKAERNN_NAME "avx512"
#elif defined(__AVX2__)
#define SKAERNN_BYTES 32
#define SKAERNN_NAME "avx2"
#else
#define SKAERNN_BYTES 16
#define SKAERNN_NAME "baseline"
#endif

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

namespace {

using Size = int64_t;

INLINE Size smaller(Size a, Size b) { return a < b ? a : b; }
INLINE Size larger(Size a, Size b) { return a > b ? a : b; }

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kAccumulators = 24;  // of 32 registers
#else
constexpr int kAccumulators = 12;  // of 16
#endif

template <class T>
struct Types;
template <>
struct Types<float> {
    typedef float V __attribute__((vector_size(SKAERNN_BYTES), may_alias));
    typedef int32_t I __attribute__((vector_size(SKAERNN_BYTES), may_alias));
    typedef float Unaligned __attribute__((vector_size(SKAERNN_BYTES), aligned(4), may_alias));
};
template <>
struct Types<double> {
    typedef double V __attribute__((vector_size(SKAERNN_BYTES), may_alias));
    typedef int64_t I __attribute__((vector_size(SKAERNN_BYTES), may_alias));
    typedef double Unaligned __attribute__((vector_size(SKAERNN_BYTES), aligned(8), may_alias));
};

template <class T>
using Vec = typename Types<T>::V;
template <class T>
using Int = typename Types<T>::I;
template <class T>
constexpr Size kLanes = SKAERNN_BYTES / sizeof(T);

template <class T>
INLINE Vec<T> load(const T* p) {
    return *reinterpret_cast<const typename Types<T>::Unaligned*>(p);
}
template <class T>
INLINE void store(T* p, Vec<T> v) {
    *reinterpret_cast<typename Types<T>::Unaligned*>(p) = v;
}
template <class T>
INLINE Vec<T> splat(T x) {
    return x - Vec<T>{};  // the other way round would leave an addition: 0 + -0 is 0
}

#if defined(__AVX512F__)
INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
    return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
    return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#elif defined(__FMA__)
INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
    return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
    return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#elif defined(__aarch64__)
INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
    return (Vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
    return (Vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#else
INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return a * b + c; }
INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return a * b + c; }
#endif

// Denormals are treated as zeros while this lives: recurrent states that fade pass through them,
// and each costs a hundred cycles. Put back as it was: the setting belongs to the thread.
class Flushed {
   public:
#if defined(__x86_64__)
    Flushed() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
    ~Flushed() { _mm_setcsr(before_); }

   private:
    unsigned before_;
#elif defined(__aarch64__)
    Flushed() {
        asm volatile("mrs %0, fpcr" : "=r"(before_));
        asm volatile("msr fpcr, %0" : : "r"(before_ | (1ull << 24)));
    }
    ~Flushed() { asm volatile("msr fpcr, %0" : : "r"(before_)); }

   private:
    unsigned long long before_;
#else
    ~Flushed() {}
#endif
};

// e^x = 2^n (1 + q) with |x - n ln 2| <= ln(2) / 2, and log((1 + s) / (1 - s)) = s l(s^2).
// Coefficients interpolate (e^r - 1 - r) / r^2 and l at Chebyshev's nodes.
template <class T>
struct Constants;
template <>
struct Constants<float> {
    static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded
    static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 1.42860682030942e-6f;
    static constexpr float least = -87.33654f, most = 88.72283f;  // between: normal numbers
    static constexpr float saturated = 20.0f;                     // tanh(half of it) is 1
    static constexpr int mantissa = 23;
    static constexpr int32_t sign = INT32_MIN;
    static constexpr float e[] = {0.5000000013f,   0.1666666668f, 0.04166646493f,
                                  0.008333310925f, 0.001393365f,  0.0001989099082f};
    static constexpr float l[] = {2.000000008f, 0.6666632164f, 0.4002459523f, 0.2796515775f,
                                  0.2815777836f};
};
template <>
struct Constants<double> {
    static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
    static constexpr double least = -708.39641853226408, most = 709.78271289338397;
    static constexpr double saturated = 40.0;
    static constexpr int mantissa = 52;
    static constexpr int64_t sign = INT64_MIN;
    static constexpr double e[] = {
        0.5,
        0.16666666666666670991,
        0.041666666666666669755,
        0.0083333333333261351258,
        0.0013888888888883748305,
        0.00019841269874820625271,
        0.000024801587325547741216,
        2.755725540020642443e-6,
        2.7557273643110295328e-7,
        2.5105217004720745164e-8,
        2.0914686968086877233e-9,
    };
    static constexpr double l[] = {
        2.0000000000000000024,   0.66666666666666149594,  0.40000000000185747468,
        0.28571428545454114534,  0.22222224080747673173,  0.1818174083250480451,
        0.15386614042304007762,  0.13300374032674624337,  0.12110168728069217655,
        0.083245065118608205757, 0.17044163562781398129,
    };
};

template <class T, int N>
INLINE Vec<T> polynomial(Vec<T> x, const T (&c)[N]) {
    Vec<T> p = splat(c[N - 1]);
    UNROLL
    for (int i = N - 2; i >= 0; i--) p = fma(p, x, splat(c[i]));
    return p;
}

// q of e^x = 2^n (1 + q); n comes as an integer, in the exponent's place.
template <class T>
INLINE Vec<T> reduced(Vec<T> x, Int<T>& exponent) {
    using C = Constants<T>;
    Vec<T> shifted = fma(x, splat(T(1.44269504088896340736)), splat(C::magic));
    Vec<T> n = shifted - C::magic;
    Vec<T> r = fma(n, splat(-C::ln2_low), fma(n, splat(-C::ln2_high), x));
    exponent = (Int<T>)shifted << C::mantissa;  // what magic has there is shifted out
    return fma(r * r, polynomial<T>(r, C::e), r);
}

template <class T>
INLINE Vec<T> exponential(Vec<T> x) {
    using C = Constants<T>;
    Int<T> exponent;
    Vec<T> q = reduced<T>(x, exponent);
    Vec<T> e = (Vec<T>)((Int<T>)(q + T(1)) + exponent);
    e = x < C::least ? Vec<T>{} : e;
    return x > C::most ? splat(T(__builtin_inf())) : e;
}

// q and 2^n themselves, for x whose e^x is a normal number.
template <class T>
INLINE Vec<T> reduced(Vec<T> x, Vec<T>& power) {
    Int<T> exponent;
    Vec<T> q = reduced<T>(x, exponent);
    power = (Vec<T>)((Int<T>)splat(T(1)) + exponent);
    return q;
}

// 1 / (1 + e^-x); what 2^n + 1 rounds off comes back with q.
template <class T>
INLINE Vec<T> logistic(Vec<T> x) {
    using C = Constants<T>;
    Vec<T> power, negative = -x < C::least ? splat(C::least) : -x;  // NaN stays
    Vec<T> q = reduced<T>(negative, power);
    Vec<T> sum = power + T(1);
    Vec<T> y = T(1) / (sum + fma(power, q, T(1) - (sum - power)));
    return x < C::least ? Vec<T>{} : y;
}

// e / (e + 2) for e = e^2|x| - 1, with the remainder of the division and of its denominator.
template <class T>
INLINE Vec<T> tanh(Vec<T> x) {
    using C = Constants<T>;
    Int<T> sign = (Int<T>)x & C::sign;
    Vec<T> power, doubled = T(2) * (Vec<T>)((Int<T>)x ^ sign);
    doubled = C::saturated < doubled ? splat(C::saturated) : doubled;  // NaN stays
    Vec<T> q = reduced<T>(doubled, power);
    Vec<T> e = fma(power, q, power - T(1)), d = e + T(2);
    Vec<T> reciprocal = T(1) / d, y = e * reciprocal;
    Vec<T> rest = fma(-y, e - (d - T(2)), fma(-y, d, e));
    return (Vec<T>)((Int<T>)fma(rest, reciprocal, y) | sign);
}

template <class T>
INLINE Vec<T> softplus(Vec<T> x) {
    Vec<T> negative = x > T(0) ? -x : x;
    Vec<T> e = exponential<T>(negative);
    Vec<T> s = e / (e + T(2));  // log(1 + e)
    Vec<T> rest = s * polynomial<T>(s * s, Constants<T>::l);
    return (x < T(0) ? Vec<T>{} : x) + rest;
}

// Of positive normal numbers, by the same series: the mantissa is 1 + e.
template <class T>
INLINE Vec<T> logarithm(Vec<T> x) {
    using C = Constants<T>;
    Int<T> one = (Int<T>)splat(T(1)), bits = (Int<T>)x;
    Int<T> exponent = (bits >> C::mantissa) - (one >> C::mantissa);
    Vec<T> m = (Vec<T>)((bits & ((Int<T>{} + 1 << C::mantissa) - 1)) | one);
    Vec<T> s = (m - T(1)) / (m + T(1)), n = __builtin_convertvector(exponent, Vec<T>);
    return fma(n, splat(T(0.69314718055994530942)), s * polynomial<T>(s * s, C::l));
}
INLINE double logarithm(double x) { return logarithm<double>(splat(x))[0]; }

template <class T>
INLINE Vec<T> elu(Vec<T> x) {
    Vec<T> negative = x < -Constants<T>::saturated ? splat(-Constants<T>::saturated) : x;
    negative = negative > T(0) ? Vec<T>{} : negative;
    Vec<T> power, q = reduced<T>(negative, power);
    return x > T(0) ? x : fma(power, q, power - T(1));
}

// In the order that the Python side knows.
enum Activation : int64_t {
    kIdentity,
    kLogistic,
    kTanh,
    kRelu,
    kLeakyRelu,
    kElu,
    kSoftplus,
    kSilu,
    kExp,
    kSoftmax,           // of a whole row
    kMeanAndDeviation,  // likewise
};

template <class T>
INLINE Vec<T> activated(Vec<T> z, int64_t activation) {
    switch (activation) {
        case kLogistic: return logistic<T>(z);
        case kTanh: return tanh<T>(z);
        case kRelu: return z < T(0) ? Vec<T>{} : z;
        case kLeakyRelu: return z > T(0) ? z : T(0.01) * z;
        case kElu: return elu<T>(z);
        case kSoftplus: return softplus<T>(z);
        case kSilu: return z * logistic<T>(z);
        case kExp: return exponential<T>(z);
        default: return z;
    }
}

}  // namespace
