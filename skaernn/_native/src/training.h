// Steps of a solver through many batches in one call: a program is a list of operations, recorded
// once, from the rows of a batch to the next parameters.

#pragma once

#include "product.h"

namespace {

enum Code : int64_t {
    kLoad,           // c = rows of input number `option`
    kProduct,        // c = a b; `option`: added to what is there
    kTranspose,      // c = the transpose of a
    kActivate,       // c = f(a)
    kDifferentiate,  // c *= f'(a)
    kMultiply,       // c = a b, number by number
    kAdd,            // c += a
    kLoss,           // of a beside b, and its gradient c; `option`: which loss
    kSparsity,       // numbers[0] |a|, and its gradient c
    kDecay,          // c += a b, and 1/2 a a b
    kClip,           // c, as the gradient of a mean, no longer than numbers[0]
    kAdam,           // a: parameters, b: gradient, c, d: moments; numbers: betas, epsilon
    kSGD,            // a: parameters, b: gradient, c: velocity; numbers[0]: momentum
    kDraw,           // c = a + e^(b / 2) d, for b between two numbers
    kDrawBack,       // c = the gradient of b, a being that of the sum
    kDivergence,     // numbers[0] KL(N(a, e^b) || N(0, 1)), and its gradients c and d
};
enum Loss : int64_t { kSquared, kAbsolute, kHuber, kCrossEntropy, kPoisson, kNormal };

constexpr Size kOfBatch = -1;  // as a size: the rows of the batch
constexpr Size kSome = 128;     // values of losses that are held at a time

struct Place {
    void* at;
    int64_t row, column;

    template <class T>
    Matrix<T> as() const {
        return {static_cast<T*>(at), row, column};
    }
};

// Matrices of m rows and n columns; a product has k summands.
struct Operation {
    int64_t code, option, m, n, k;
    Place a, b, c, d;
    double numbers[3];
};

// What a call goes through: rows [first, last), `size` a batch, of inputs whose rows are `widths`
// wide; and what it brings back: sums of losses, of their counts, of penalties.
struct Batches {
    const void* const* inputs;
    const void* weights;  // of the rows; null: all 1
    int64_t first, last, size;
    double rate;
    int64_t step;  // that have been made
    double loss, count, penalty;
};

template <class T>
struct Step {
    Batches& all;
    Size first, rows;
    const T* weights;  // of these rows

    Size size(int64_t n) const { return n == kOfBatch ? rows : n; }
    T weight(Size i) const { return weights ? weights[i] : T(1); }
};

template <class T, class F>
INLINE void over(Size m, Size n, const Matrix<T>& c, F f) {
    for (Size i = 0; i < m; i++)
        for (Size j = 0; j < n; j += kLanes<T>) store_some(c(i) + j, f(i, j, n - j), n - j);
}

template <class T>
void load_rows(const Operation& o, const Step<T>& step) {
    const T* from = static_cast<const T*>(step.all.inputs[o.option]) + step.first * o.n;
    Matrix<T> c = o.c.as<T>();
    for (Size i = 0; i < step.rows; i++)
        __builtin_memcpy(c(i), from + i * o.n, o.n * sizeof(T));
}

// The value of one loss, and its gradient.
template <class T>
INLINE Vec<T> value_of(Vec<T> output, Vec<T> target, int64_t loss, Vec<T>& gradient) {
    Vec<T> d = output - target;
    switch (loss) {
        case kAbsolute:
            gradient = d > T(0) ? splat(T(1)) : d < T(0) ? splat(T(-1)) : d;  // 0, and NaN
            return gradient * d;
        case kHuber:
            gradient = d > T(1) ? splat(T(1)) : d < T(-1) ? splat(T(-1)) : d;
            return gradient * (d - T(0.5) * gradient);
        case kCrossEntropy:
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

template <class T>
void run_loss(const Operation& o, const Step<T>& step) {
    Matrix<const T> output = o.a.as<const T>(), target = o.b.as<const T>();
    Matrix<T> delta = o.c.as<T>();
    double total = 0;
    for (Size i = 0; i < step.rows; i++) {
        T weight = step.weight(i);
        for (Size j = 0; j < o.n; j += kSome) {
            T values[kSome];
            Size n = smaller(kSome, o.n - j);
            for (Size l = 0; l < n; l += kLanes<T>) {
                Vec<T> gradient;
                Vec<T> value = value_of<T>(load_some(output(i) + j + l, n - l),
                                           load_some(target(i) + j + l, n - l), o.option, gradient);
                store(values + l, weight * value);
                if (delta.at) store_some(delta(i) + j + l, weight * gradient, n - l);
            }
            total += sum(n, [&](Size l) { return double(values[l]); });
        }
    }
    if (o.option == kNormal) as_normal<T>(o, step, total);
    step.all.loss += total;
    step.all.count += double(step.rows);
}

template <class T>
void run_sparsity(const Operation& o, const Step<T>& step) {
    Matrix<const T> code = o.a.as<const T>();
    Matrix<T> delta = o.c.as<T>();
    for (Size i = 0; i < step.rows; i++) {
        T strength = T(o.numbers[0]) * step.weight(i);
        step.all.loss += sum(o.n, [&](Size j) {
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
            for (Size l = 0; l < left; l++) step.all.loss += double(values[l]);
            if (!d_mean.at) continue;
            store_some(d_mean(i) + j, strength * m, left);
            store_some(d_raw(i) + j, (T(0.5) * strength) * less_one * slope, left);
        }
    }
}

template <class T>
void run_decay(const Operation& o, const Step<T>& step) {
    const T *theta = o.a.as<const T>().at, *decay = o.b.as<const T>().at;
    T* grad = o.c.as<T>().at;
    step.all.penalty += sum(o.n, [&](Size i) {
        T pull = theta[i] * decay[i];
        grad[i] += pull;
        return 0.5 * double(theta[i]) * double(pull);
    });
}

template <class T>
void run_clip(const Operation& o, const Step<T>& step) {
    T* grad = o.c.as<T>().at;
    double squares = sum(o.n, [&](Size i) { return double(grad[i]) * double(grad[i]); });
    double share = double(step.rows) * o.numbers[0] / __builtin_sqrt(squares);
    if (share < 1)  // a gradient that is not finite stays what it is
        for (Size i = 0; i < o.n; i++) grad[i] *= T(share);
}

// Kingma & Ba (2015), algorithm 1.
template <class T>
void run_adam(const Operation& o, const Step<T>& step) {
    T *__restrict theta = o.a.as<T>().at, *__restrict mean = o.c.as<T>().at;
    T* __restrict square = o.d.as<T>().at;
    const T* __restrict grad = o.b.as<const T>().at;
    double unbiased[2];
    for (int b = 0; b < 2; b++) unbiased[b] = 1 - __builtin_powi(o.numbers[b], int(step.all.step));
    T new_of_mean = T(1 - o.numbers[0]), kept_of_square = T(o.numbers[1]);
    T new_of_square = T(1 - o.numbers[1]), epsilon = T(o.numbers[2]);
    T rate = T(step.all.rate / unbiased[0]), grown = T(1 / __builtin_sqrt(unbiased[1]));
    T share = T(1.0 / double(step.rows));  // divisions are what takes time here
    for (Size i = 0; i < o.n; i++) {
        T g = share * grad[i];
        mean[i] += new_of_mean * (g - mean[i]);
        square[i] = kept_of_square * square[i] + new_of_square * g * g;
        theta[i] -= rate * mean[i] / (grown * T(__builtin_sqrt(square[i])) + epsilon);
    }
}

template <class T>
void run_sgd(const Operation& o, const Step<T>& step) {
    T *__restrict theta = o.a.as<T>().at, *__restrict velocity = o.c.as<T>().at;
    const T* __restrict grad = o.b.as<const T>().at;
    T momentum = T(o.numbers[0]), rate = T(step.all.rate), count = T(step.rows);
    for (Size i = 0; i < o.n; i++) {
        velocity[i] = momentum * velocity[i] + grad[i] / count;
        theta[i] -= rate * velocity[i];
    }
}

template <class T>
void run(const Operation& o, const Step<T>& step) {
    Size m = step.size(o.m), n = step.size(o.n);
    Matrix<const T> a = o.a.as<const T>(), b = o.b.as<const T>(), d = o.d.as<const T>();
    Matrix<T> c = o.c.as<T>();
    auto of = [](const Matrix<const T>& from, Size i, Size j, Size left) {
        return load_some(from(i) + j, left);
    };
    switch (o.code) {
        case kLoad: return load_rows<T>(o, step);
        case kProduct: return product<T>({m, n, step.size(o.k), a, b, c, o.option != 0});
        case kTranspose: return transpose<T>(m, n, a, {c.at, m, 1});
        case kActivate:
            return over(m, n, c, [&](Size i, Size j, Size left) {
                return activated<T>(of(a, i, j, left), o.option);
            });
        case kDifferentiate:
            return over(m, n, c, [&](Size i, Size j, Size left) {
                return load_some(c(i) + j, left) * slope<T>(of(a, i, j, left), o.option);
            });
        case kMultiply:
            return over(m, n, c, [&](Size i, Size j, Size left) {
                return of(a, i, j, left) * of(b, i, j, left);
            });
        case kAdd:
            return over(m, n, c, [&](Size i, Size j, Size left) {
                return load_some(c(i) + j, left) + of(a, i, j, left);
            });
        case kDraw:
            return over(m, n, c, [&](Size i, Size j, Size left) {
                Vec<T> slope, v = between<T>(of(b, i, j, left), o, slope);
                return fma(exponential<T>(T(0.5) * v), of(d, i, j, left), of(a, i, j, left));
            });
        case kDrawBack:
            return over(m, n, c, [&](Size i, Size j, Size left) {
                Vec<T> slope, v = between<T>(of(b, i, j, left), o, slope);
                Vec<T> deviation = exponential<T>(T(0.5) * v) * (T(0.5) * slope);
                return of(a, i, j, left) * of(d, i, j, left) * deviation;
            });
        case kDivergence: return run_divergence<T>(o, step);
        case kLoss: return run_loss<T>(o, step);
        case kSparsity: return run_sparsity<T>(o, step);
        case kDecay: return run_decay<T>(o, step);
        case kClip: return run_clip<T>(o, step);
        case kAdam: return run_adam<T>(o, step);
        case kSGD: return run_sgd<T>(o, step);
    }
}

template <class T>
void run_steps(const Operation* operations, Size n, Batches& all) {
    const T* weights = static_cast<const T*>(all.weights);
    for (Size first = all.first; first < all.last; first += all.size) {
        all.step++;
        Step<T> step{all, first, smaller(all.size, all.last - first),
                     weights ? weights + first : nullptr};
        for (Size i = 0; i < n; i++) run<T>(operations[i], step);
    }
}

}  // namespace
