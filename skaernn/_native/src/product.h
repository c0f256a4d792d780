// Products of small matrices, and what goes over a matrix number by number.
//
// A number of a product is one chain of multiply-adds in the order of the summands, as in
// `layers.h`, and cut in the same way: it depends on the two vectors that it is the product of, not
// on what stands beside them.

#pragma once

#include "layers.h"

namespace {

// Numbers with their strides.
template <class T>
struct Matrix {
    T* at;
    Size row, column;

    T* operator()(Size i) const { return at + i * row; }
    T& operator()(Size i, Size j) const { return at[i * row + j * column]; }
};

// The first n numbers, and zeros.
template <class T>
INLINE Vec<T> load_some(const T* p, Size n) {
    T some[kLanes<T>] = {};
    for (Size j = 0; j < smaller(n, kLanes<T>); j++) some[j] = p[j];
    return load(some);
}
template <class T>
INLINE void store_some(T* p, Vec<T> v, Size n) {
    T some[kLanes<T>];
    store(some, v);
    for (Size j = 0; j < smaller(n, kLanes<T>); j++) p[j] = some[j];
}
#if defined(__AVX512F__)
INLINE __mmask16 first_of_16(Size n) { return n >= 16 ? 0xffff : (1u << n) - 1; }
INLINE __mmask8 first_of_8(Size n) { return n >= 8 ? 0xff : (1u << n) - 1; }
INLINE Vec<float> load_some(const float* p, Size n) {
    return (Vec<float>)_mm512_maskz_loadu_ps(first_of_16(n), p);
}
INLINE Vec<double> load_some(const double* p, Size n) {
    return (Vec<double>)_mm512_maskz_loadu_pd(first_of_8(n), p);
}
INLINE void store_some(float* p, Vec<float> v, Size n) {
    _mm512_mask_storeu_ps(p, first_of_16(n), (__m512)v);
}
INLINE void store_some(double* p, Vec<double> v, Size n) {
    _mm512_mask_storeu_pd(p, first_of_8(n), (__m512d)v);
}
#elif defined(__AVX2__)
INLINE __m256i first_of_8(Size n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(smaller(n, 8))),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE __m256i first_of_4(Size n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
INLINE Vec<float> load_some(const float* p, Size n) {
    return (Vec<float>)_mm256_maskload_ps(p, first_of_8(n));
}
INLINE Vec<double> load_some(const double* p, Size n) {
    return (Vec<double>)_mm256_maskload_pd(p, first_of_4(n));
}
INLINE void store_some(float* p, Vec<float> v, Size n) {
    _mm256_maskstore_ps(p, first_of_8(n), (__m256)v);
}
INLINE void store_some(double* p, Vec<double> v, Size n) {
    _mm256_maskstore_pd(p, first_of_4(n), (__m256d)v);
}
#endif

// c = a b, or c += a b: m rows, n columns, which lie side by side in b and c, and k summands.
template <class T>
struct Product {
    Size m, n, k;
    Matrix<const T> a, b;
    Matrix<T> c;
    bool adds;
};

// R rows by B vectors of columns; the last vector may be part of one.
template <class T, int B, int R, bool whole>
__attribute__((noinline)) void product_tile(const Product<T>& p, Size row, Size column) {
    constexpr Size L = kLanes<T>;
    const T* a = p.a(row);
    const T* b = p.b.at + column;
    T* c = p.c(row) + column;
    Size left = p.n - column - (B - 1) * L;  // columns in the last vector
    auto read = [&](const T* from, int v) {
        return whole || v < B - 1 ? load(from + v * L) : load_some(from + v * L, left);
    };
    Size first = 0;
    do {  // c holds the sum of the pieces: a register each is for one of them
        Size last = smaller(first + kChain, p.k);
        Vec<T> part[B][R] = {};
        for (Size k = first; k < last; k++) {
            Vec<T> row_of_b[B];
            UNROLL
            for (int v = 0; v < B; v++) row_of_b[v] = read(b + k * p.b.row, v);
            UNROLL
            for (int r = 0; r < R; r++) {  // outside: one of a at a time, or registers run out
                Vec<T> one_of_a = splat(a[r * p.a.row + k * p.a.column]);
                UNROLL
                for (int v = 0; v < B; v++) part[v][r] = fma(one_of_a, row_of_b[v], part[v][r]);
            }
        }
        UNROLL
        for (int v = 0; v < B; v++) {
            UNROLL
            for (int r = 0; r < R; r++) {
                T* to = c + r * p.c.row;
                if (p.adds || first) part[v][r] += read(to, v);
                if (whole || v < B - 1)
                    store(to + v * L, part[v][r]);
                else
                    store_some(to + v * L, part[v][r], left);
            }
        }
        first = last;
    } while (first < p.k);
}

template <class T, int B, bool whole>
void product_columns(const Product<T>& p, Size column) {
    constexpr int many = kAccumulators / B > 6 ? 6 : kAccumulators / B;
    Size row = 0;
    for (; row + many <= p.m; row += many) product_tile<T, B, many, whole>(p, row, column);
    for (; row + 2 <= p.m; row += 2) product_tile<T, B, 2, whole>(p, row, column);
    if (row < p.m) product_tile<T, B, 1, whole>(p, row, column);
}

template <class T>
void product(const Product<T>& p) {
    constexpr Size L = kLanes<T>;
    constexpr int most = kAccumulators >= 24 ? 4 : 2;
    Size column = 0;
    for (; column + most * L <= p.n; column += most * L) product_columns<T, most, true>(p, column);
    Size vectors = (p.n - column + L - 1) / L;
    bool whole = (p.n - column) % L == 0;
    if (vectors == 1)
        whole ? product_columns<T, 1, true>(p, column) : product_columns<T, 1, false>(p, column);
    if (vectors == 2)
        whole ? product_columns<T, 2, true>(p, column) : product_columns<T, 2, false>(p, column);
    if constexpr (most > 2) {
        if (vectors == 3) product_columns<T, 3, false>(p, column);
        if (vectors == 4) product_columns<T, 4, false>(p, column);
    }
}

// c (n, m) = the transpose of a (m, n), tile by tile, which so stay in the nearest cache.
template <class T>
void transpose(Size m, Size n, const Matrix<const T>& a, const Matrix<T>& c) {
    constexpr Size side = 16;
    for (Size i = 0; i < m; i += side)
        for (Size j = 0; j < n; j += side)
            for (Size y = j; y < smaller(j + side, n); y++)
                for (Size x = i; x < smaller(i + side, m); x++) c(y)[x] = a(x, y);
}

// f'(z), of a = f(z) where that is enough, else of z.
template <class T>
INLINE Vec<T> slope(Vec<T> saved, int64_t activation) {
    switch (activation) {
        case kLogistic: return saved * (T(1) - saved);
        case kTanh: return fma(-saved, saved, splat(T(1)));
        case kRelu: return saved > T(0) ? splat(T(1)) : Vec<T>{};
        case kLeakyRelu: return saved > T(0) ? splat(T(1)) : splat(T(0.01));
        case kElu: return saved > T(0) ? splat(T(1)) : saved + T(1);
        case kSoftplus: return logistic<T>(saved);
        case kSilu: {
            Vec<T> s = logistic<T>(saved);
            return s * fma(saved, T(1) - s, splat(T(1)));
        }
        default: return splat(T(1));
    }
}

// Sum of f(0) to f(n - 1) in float64, in an order that no width of vectors changes.
template <class F>
INLINE double sum(Size n, F f) {
    double parts[8] = {};
    Size j = 0;
    for (; j + 8 <= n; j += 8)
        for (Size l = 0; l < 8; l++) parts[l] += f(j + l);
    for (Size l = 0; j < n; j++, l++) parts[l] += f(j);
    return ((parts[0] + parts[4]) + (parts[2] + parts[6])) +
           ((parts[1] + parts[5]) + (parts[3] + parts[7]));
}

}  // namespace
