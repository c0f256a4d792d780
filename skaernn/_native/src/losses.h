// Losses and penalties of a batch: their values, which are added to the totals, and gradients.

#pragma once

#include "operations.h"
#include "units.h"

namespace {

// The last ones have more or less than one output for each number of the target.
enum Loss : int64_t {
    kSquared, kAbsolute, kHuber, kBinary, kPoisson, kNormal, kQuantile, kGaussian, kClasses
};

constexpr Size kSome = 128;  // values that are held at a time

// The value of one loss, and its gradient.
template <class T>
INLINE Vec<T> value_of(Vec<T> output, Vec<T> target, const Operation& o, Vec<T>& gradient) {
    Vec<T> d = output - target;
    switch (o.option) {
        case kQuantile:
            gradient = d < T(0) ? splat(T(-o.numbers[0])) : splat(T(1 - o.numbers[0]));
            gradient = d == T(0) ? Vec<T>{} : gradient;
            return gradient * d;
        case kAbsolute:
            gradient = d > T(0) ? splat(T(1)) : d < T(0) ? splat(T(-1)) : d;  // 0, and NaN
            return gradient * d;
        case kHuber:
            gradient = d > T(1) ? splat(T(1)) : d < T(-1) ? splat(T(-1)) : d;
            return gradient * (d - T(0.5) * gradient);
        case kBinary:
            gradient = logistic<T>(output) - target;
            return fma(-output, target, softplus<T>(output));
        case kPoisson: {
            Vec<T> mean = exponential<T>(output);
            gradient = mean - target;
            return fma(-output, target, mean);
        }
        default:
            gradient = d;
            return T(0.5) * d * d;
    }
}

// Normal noise of the variance that fits best, s, is n (log(2 pi s) + 1) / 2 for n numbers: of a
// sum of half squared errors, and of its gradient. `numbers[0]`: the least variance.
template <class T>
void as_normal(const Operation& o, const Step<T>& step, double& total) {
    Matrix<T> delta = o.c.as<T>();
    double n = 0;
    for (Size i = 0; i < step.rows; i++) n += double(step.weight(i));
    n *= double(o.n);
    double mean = 2 * total / n, variance = mean < o.numbers[0] ? o.numbers[0] : mean;
    total = n / 2 * (logarithm(variance) + 1.8378770664093453 + mean / variance);
    if (!delta.at) return;
    for (Size i = 0; i < step.rows; i++)
        for (Size j = 0; j < o.n; j++) delta(i)[j] /= T(variance);
}

// log s + (y - m)^2 / 2 s^2 for m and s = softplus(r) + a floor, which lie side by side.
template <class T>
void run_gaussian(const Operation& o, const Step<T>& step) {
    Matrix<const T> output = o.a.as<const T>(), target = o.b.as<const T>();
    Matrix<T> delta = o.c.as<T>();
    for (Size i = 0; i < step.size(o.m); i++) {
        T weight = step.weight(i);
        for (Size j = 0; j < o.n; j += kLanes<T>) {
            Size left = smaller(kLanes<T>, o.n - j);
            Vec<T> raw = load_some(output(i) + o.n + j, left);
            Vec<T> deviation = softplus<T>(raw) + T(kSmallestDeviation);
            Vec<T> difference = load_some(output(i) + j, left) - load_some(target(i) + j, left);
            Vec<T> relative = difference / deviation, squares = relative * relative;
            T values[kLanes<T>];
            store(values, weight * fma(splat(T(0.5)), squares, logarithm<T>(deviation)));
            for (Size l = 0; l < left; l++) step.all.sums->loss += double(values[l]);
            if (!delta.at) continue;
            store_some(delta(i) + j, weight * relative / deviation, left);
            store_some(delta(i) + o.n + j,
                       weight * logistic<T>(raw) * (T(1) - squares) / deviation, left);
        }
    }
}

// Minus the logarithm of the probability that softmax gives to a class, whose number b is; d may
// hold what each class counts.
template <class T>
void run_classes(const Operation& o, const Step<T>& step) {
    Matrix<const T> output = o.a.as<const T>(), target = o.b.as<const T>();
    Matrix<T> delta = o.c.as<T>();
    const T* counts = o.d.as<const T>().at;
    for (Size i = 0; i < step.size(o.m); i++) {
        const T* z = output(i);
        Size found = Size(target(i, 0));
        T weight = step.weight(i) * (counts ? counts[found] : T(1)), most = z[0];
        for (Size j = 1; j < o.n; j++) most = z[j] > most ? z[j] : most;
        double total = 0;
        for (Size j = 0; j < o.n; j += kLanes<T>) {
            T powers[kLanes<T>];
            store(powers, exponential<T>(load_some(z + j, o.n - j) - most));
            for (Size l = 0; l < smaller(kLanes<T>, o.n - j); l++) {
                total += double(powers[l]);
                if (delta.at) delta(i)[j + l] = powers[l];
            }
        }
        step.all.sums->loss += double(weight) * (logarithm(total) + double(most - z[found]));
        if (!delta.at) continue;
        for (Size j = 0; j < o.n; j++)
            delta(i)[j] = weight * (T(double(delta(i)[j]) / total) - T(j == found));
    }
}

template <class T>
void run_loss(const Operation& o, const Step<T>& step) {
    Matrix<const T> output = o.a.as<const T>(), target = o.b.as<const T>();
    Matrix<T> delta = o.c.as<T>();
    double total = 0;
    step.all.sums->count += double(step.size(o.m));
    if (o.option == kGaussian) return run_gaussian<T>(o, step);
    if (o.option == kClasses) return run_classes<T>(o, step);
    for (Size i = 0; i < step.size(o.m); i++) {
        T weight = step.weight(i);
        for (Size j = 0; j < o.n; j += kSome) {
            T values[kSome];
            Size n = smaller(kSome, o.n - j);
            for (Size l = 0; l < n; l += kLanes<T>) {
                Vec<T> gradient;
                Vec<T> value = value_of<T>(load_some(output(i) + j + l, n - l),
                                           load_some(target(i) + j + l, n - l), o, gradient);
                store(values + l, weight * value);
                if (delta.at) store_some(delta(i) + j + l, weight * gradient, n - l);
            }
            total += sum(n, [&](Size l) { return double(values[l]); });
        }
    }
    if (o.option == kNormal) as_normal<T>(o, step, total);
    step.all.sums->loss += total;
}

template <class T>
void run_sparsity(const Operation& o, const Step<T>& step) {
    Matrix<const T> code = o.a.as<const T>();
    Matrix<T> delta = o.c.as<T>();
    for (Size i = 0; i < step.rows; i++) {
        T strength = T(o.numbers[0]) * step.weight(i);
        step.all.sums->loss += sum(o.n, [&](Size j) {
            T h = code(i)[j], sign = h > 0 ? T(1) : h < 0 ? T(-1) : h;
            if (delta.at) delta(i)[j] = strength * sign;
            return double(strength * sign * h);
        });
    }
}

// The posterior's log-variance is read between numbers 1 and 2; beyond, it has no gradient.
template <class T>
INLINE Vec<T> between(Vec<T> x, const Operation& o, Vec<T>& slope) {
    T low = T(o.numbers[1]), high = T(o.numbers[2]);
    slope = x < low ? Vec<T>{} : x > high ? Vec<T>{} : splat(T(1));
    return x < low ? splat(low) : x > high ? splat(high) : x;
}

// Kingma & Welling (2014), appendix B.
template <class T>
void run_divergence(const Operation& o, const Step<T>& step) {
    Matrix<const T> mean = o.a.as<const T>(), raw = o.b.as<const T>();
    Matrix<T> d_mean = o.c.as<T>(), d_raw = o.d.as<T>();
    for (Size i = 0; i < step.rows; i++) {
        T strength = T(o.numbers[0]) * step.weight(i);
        for (Size j = 0; j < o.n; j += kLanes<T>) {
            T values[kLanes<T>];
            Size left = smaller(kLanes<T>, o.n - j);
            Vec<T> slope, m = load_some(mean(i) + j, left), power;
            Vec<T> v = between<T>(load_some(raw(i) + j, left), o, slope);
            Vec<T> q = reduced<T>(v, power), less_one = fma(power, q, power - T(1));  // e^v - 1
            store(values, (T(0.5) * strength) * (fma(m, m, less_one) - v));
            for (Size l = 0; l < left; l++) step.all.sums->loss += double(values[l]);
            if (!d_mean.at) continue;
            store_some(d_mean(i) + j, strength * m, left);
            store_some(d_raw(i) + j, (T(0.5) * strength) * less_one * slope, left);
        }
    }
}

}  // namespace
