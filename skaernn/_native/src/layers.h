// Rows through one layer: affine, or one step of a recurrent cell.
//
// Every number is one chain of multiply-adds over the inputs, from the bias on, in an order that
// depends on the widths of the layer alone: not on the rows beside it, nor on the width of vectors.
// Longer chains are cut into sums of `kChain` inputs, which round less.

#pragma once

#include "simd.h"

namespace {

constexpr Size kChain = 256;

enum Kind : int64_t { kAffine, kLSTM, kGRU, kMinGRU };

// Where a layer's parameters lie. It reads two inputs, of a row: x, and h or whatever stands
// beside. The weights of each: for every block of as many units as a vector has lanes, for every
// input, for every gate, one vector; zeros fill the last block up.
template <class T>
struct Layer {
    int64_t kind, activation;
    int64_t n_x, n_h, n_units;
    const T *w_x, *w_h, *bias;

    Size blocks() const { return (n_units + kLanes<T> - 1) / kLanes<T>; }
    Size padded() const { return blocks() * kLanes<T>; }
};

// Rows of inputs and outputs, each with its stride.
template <class T>
struct Rows {
    const T* x;
    Size x_stride;
    const T* h;
    Size h_stride;
    T* out;
    Size out_stride;
    T* memory;  // of an LSTM: c
    Size memory_stride;
};

// The kinds: how many gates the weights of an input have, how many sums a unit has, to which sum
// a gate of h goes, and what becomes of the sums.
template <class T>
struct Affine {
    static constexpr int gates = 1, sums = 1;
    static constexpr int of_h(int) { return 0; }
    INLINE void finish(const Layer<T>& layer, const Vec<T>* z, const T*, T*, T* out) {
        store<T>(out, activated<T>(z[0], layer.activation));
    }
};

// c' = f c + i g, h' = o tanh(c'); gates o, i, f, g.
template <class T>
struct LSTM {
    static constexpr int gates = 4, sums = 4;
    static constexpr int of_h(int gate) { return gate; }
    INLINE void finish(const Layer<T>&, const Vec<T>* z, const T*, T* memory, T* out) {
        Vec<T> kept = logistic<T>(z[2]) * load(memory);
        Vec<T> c = fma(logistic<T>(z[1]), tanh<T>(z[3]), kept);
        store<T>(memory, c);
        store<T>(out, logistic<T>(z[0]) * tanh<T>(c));
    }
};

// n = tanh(a + r q), h' = n + z (h - n); gates n, r, z; sums a, r, z, and of h alone q.
template <class T>
struct GRU {
    static constexpr int gates = 3, sums = 4;
    static constexpr int of_h(int gate) { return gate == 0 ? 3 : gate; }
    INLINE void finish(const Layer<T>&, const Vec<T>* z, const T* h, T*, T* out) {
        Vec<T> n = tanh<T>(fma(logistic<T>(z[1]), z[3], z[0]));
        store<T>(out, fma(logistic<T>(z[2]), load(h) - n, n));
    }
};

// h' = h + z (g(a) - h), g(a) = a + 1/2 for a >= 0, else logistic(a); gates z, a, of x alone.
template <class T>
struct MinGRU {
    static constexpr int gates = 2, sums = 2;
    static constexpr int of_h(int gate) { return gate; }
    INLINE void finish(const Layer<T>&, const Vec<T>* z, const T* h, T*, T* out) {
        Vec<T> candidate = z[1] < T(0) ? logistic<T>(z[1]) : z[1] + T(0.5);
        Vec<T> before = load(h);
        store<T>(out, fma(logistic<T>(z[0]), candidate - before, before));
    }
};

template <class T, class K, int B, int R>
using Sums = Vec<T>[B][K::sums][R];

// Add inputs [first, last) of R rows to the sums of B blocks of units.
template <class T, class K, int B, int R, bool of_h>
INLINE void add(Sums<T, K, B, R>& sums, const T* in, Size stride, const T* w, Size block, Size first,
                Size last) {
    for (Size k = first; k < last; k++) {
        UNROLL
        for (int b = 0; b < B; b++) {
            UNROLL
            for (int g = 0; g < K::gates; g++) {
                Vec<T> weight = load(w + b * block + (k * K::gates + g) * kLanes<T>);
                UNROLL
                for (int r = 0; r < R; r++) {
                    Vec<T>& sum = sums[b][of_h ? K::of_h(g) : g][r];
                    sum = fma(splat(in[r * stride + k]), weight, sum);
                }
            }
        }
    }
}

// The same for all inputs of a long chain, cut into shorter ones.
template <class T, class K, int B, int R, bool of_h>
__attribute__((noinline)) void add_cut(Sums<T, K, B, R>& sums, const T* in, Size stride, const T* w,
                                       Size block, Size n) {
    for (Size first = 0; first < n; first += kChain) {
        Sums<T, K, B, R> part = {};
        Size last = first + kChain < n ? first + kChain : n;
        add<T, K, B, R, of_h>(part, in, stride, w, block, first, last);
        for (int b = 0; b < B; b++)
            for (int s = 0; s < K::sums; s++)
                for (int r = 0; r < R; r++) sums[b][s][r] += part[b][s][r];
    }
}

// B blocks of units from block number `first` on, of R rows.
template <class T, class K, int B, int R>
__attribute__((noinline)) void tile(const Layer<T>& layer, const Rows<T>& rows, Size first,
                                    Size row) {
    constexpr Size L = kLanes<T>;
    const T* x = rows.x + row * rows.x_stride;
    const T* h = rows.h + row * rows.h_stride;
    Size x_block = layer.n_x * K::gates * L, h_block = layer.n_h * K::gates * L;
    const T* w_x = layer.w_x + first * x_block;
    const T* w_h = layer.w_h + first * h_block;
    Sums<T, K, B, R> sums;
    UNROLL
    for (int b = 0; b < B; b++) {
        UNROLL
        for (int s = 0; s < K::sums; s++) {
            Vec<T> bias = load(layer.bias + ((first + b) * K::sums + s) * L);
            UNROLL
            for (int r = 0; r < R; r++) sums[b][s][r] = bias;
        }
    }
    if (layer.n_x + layer.n_h <= kChain) {
        add<T, K, B, R, false>(sums, x, rows.x_stride, w_x, x_block, 0, layer.n_x);
        add<T, K, B, R, true>(sums, h, rows.h_stride, w_h, h_block, 0, layer.n_h);
    } else {
        add_cut<T, K, B, R, false>(sums, x, rows.x_stride, w_x, x_block, layer.n_x);
        add_cut<T, K, B, R, true>(sums, h, rows.h_stride, w_h, h_block, layer.n_h);
    }
    Vec<T> z[B][R][K::sums];  // apart from the sums, which so may stay in registers until here
    UNROLL
    for (int b = 0; b < B; b++) {
        UNROLL
        for (int r = 0; r < R; r++) {
            UNROLL
            for (int s = 0; s < K::sums; s++) z[b][r][s] = sums[b][s][r];
        }
    }
    T* memory = rows.memory + row * rows.memory_stride;
    T* out = rows.out + row * rows.out_stride;
#pragma GCC unroll 1
    for (int b = 0; b < B; b++) {
        Size column = (first + b) * L;
#pragma GCC unroll 1
        for (int r = 0; r < R; r++)
            K::finish(layer, z[b][r], h + r * rows.h_stride + column,
                      memory + r * rows.memory_stride + column,
                      out + r * rows.out_stride + column);
    }
}

// A few blocks of units of n rows, as many rows at a time as registers hold.
template <class T, class K, int B>
void blocks_of_units(const Layer<T>& layer, const Rows<T>& rows, Size first, Size n) {
    constexpr int most = kAccumulators / (B * K::sums);
    Size row = 0;
    if constexpr (most > 6)
        for (; row + most <= n; row += most) tile<T, K, B, most>(layer, rows, first, row);
    constexpr int many = most > 6 ? 6 : most;
    for (; row + many <= n; row += many) tile<T, K, B, many>(layer, rows, first, row);
    if constexpr (many > 3)
        for (; row + 3 <= n; row += 3) tile<T, K, B, 3>(layer, rows, first, row);
    if constexpr (many > 2)
        for (; row + 2 <= n; row += 2) tile<T, K, B, 2>(layer, rows, first, row);
    for (; row < n; row++) tile<T, K, B, 1>(layer, rows, first, row);
}

template <class T, class K>
void units(const Layer<T>& layer, const Rows<T>& rows, Size n) {
    constexpr int most = kAccumulators / K::sums;  // of one row, to have enough chains at work
    Size first = 0, blocks = layer.blocks();
    if (most >= 4 * 6 || n < 6)
        for (; first + 4 <= blocks && most >= 4; first += 4)
            blocks_of_units<T, K, (most >= 4 ? 4 : 1)>(layer, rows, first, n);
    if (most >= 2 * 6 || n < 3)
        for (; first + 2 <= blocks && most >= 2; first += 2)
            blocks_of_units<T, K, (most >= 2 ? 2 : 1)>(layer, rows, first, n);
    for (; first < blocks; first++) blocks_of_units<T, K, 1>(layer, rows, first, n);
}

// What a layer makes of n rows.
template <class T>
void run_layer(const Layer<T>& layer, const Rows<T>& rows, Size n) {
    switch (layer.kind) {
        case kLSTM: return units<T, LSTM<T>>(layer, rows, n);
        case kGRU: return units<T, GRU<T>>(layer, rows, n);
        case kMinGRU: return units<T, MinGRU<T>>(layer, rows, n);
        default: return units<T, Affine<T>>(layer, rows, n);
    }
}

}  // namespace
