// Between the user's numbers and the network's.

#pragma once

#include "layers.h"

namespace {

constexpr double kFarthest = 1e18;  // scaled input of recurrent networks

template <class S>
struct Scaling {
    const S *mean, *scale;
};

// A mean and a scale for each column, in both types; null: none. Numbers are scaled in the wider
// of their own type and of that which the scaling was made in.
struct Units {
    Scaling<double> doubles;
    Scaling<float> floats;
    int64_t wide;

    explicit operator bool() const { return doubles.mean != nullptr; }
    template <class S>
    const Scaling<S>& in() const {
        if constexpr (sizeof(S) == sizeof(double))
            return doubles;
        else
            return floats;
    }
};

template <class S, class IO, class T>
INLINE void scale_as(const Units& units, const IO* from, T* to, Size n, bool bounded) {
    const auto& [mean, scale] = units.template in<S>();
    for (Size j = 0; j < n; j++) {
        S x = (S(from[j]) - mean[j]) / scale[j];
        if (bounded) x = x > S(kFarthest) ? S(kFarthest) : x < -S(kFarthest) ? -S(kFarthest) : x;
        to[j] = T(x);
    }
}

// n numbers of one row.
template <class IO, class T>
INLINE void to_scaled(const Units& units, const IO* from, T* to, Size n, bool bounded) {
    if (!units)
        for (Size j = 0; j < n; j++) to[j] = T(from[j]);
    else if (units.wide || sizeof(IO) == 8)
        scale_as<double>(units, from, to, n, bounded);
    else
        scale_as<float>(units, from, to, n, bounded);
}

template <class S, class IO, class T>
INLINE void unscale_as(const Units& units, const T* from, IO* to, Size n) {
    const auto& [mean, scale] = units.template in<S>();
    for (Size j = 0; j < n; j++) to[j] = IO(S(from[j]) * scale[j] + mean[j]);
}

template <class IO, class T>
INLINE void to_units(const Units& units, const T* from, IO* to, Size n) {
    if (!units)
        for (Size j = 0; j < n; j++) to[j] = IO(from[j]);
    else if (units.wide || sizeof(T) == 8)
        unscale_as<double>(units, from, to, n);
    else
        unscale_as<float>(units, from, to, n);
}

constexpr double kSmallestDeviation = 1e-3;

// Activations of whole rows of n outputs, in memory of whole vectors.
template <class T>
void activate_row(T* row, Size n, int64_t activation) {
    if (activation == kSoftmax) {
        T most = row[0], total = 0;
        for (Size j = 1; j < n; j++) most = row[j] > most ? row[j] : most;
        for (Size j = 0; j < n; j += kLanes<T>)
            store<T>(row + j, exponential<T>(load(row + j) - most));
        for (Size j = 0; j < n; j++) total += row[j];
        for (Size j = 0; j < n; j++) row[j] /= total;
    } else if (activation == kMeanAndDeviation) {
        for (Size j = n / 2; j < n; j++)
            row[j] = softplus<T>(splat(row[j]))[0] + T(kSmallestDeviation);
    }
}

}  // namespace
