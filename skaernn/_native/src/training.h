// Steps of a solver through many batches in one call: a program is a list of operations, recorded
// once, from the rows of a batch to the next parameters.

#pragma once

#include "passes.h"
#include "units.h"

namespace {

enum Code : int64_t {
    kLoad,           // c = rows of input number `option`; of k steps each, step after step
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
    kLayer,          // the recurrent layer that a points to: forward, or, by `option`, back
    kPool,           // c = what k steps of a come to
    kPoolBack,       // c, of k steps: the gradient of that, a being the gradient of what came
};
// The last ones have more or less than one output for each number of the target.
enum Loss : int64_t {
    kSquared, kAbsolute, kHuber, kBinary, kPoisson, kNormal, kQuantile, kGaussian, kClasses
};
enum StepPooling : int64_t { kLastStep, kMeanStep };

constexpr Size kSome = 128;     // values of losses that are held at a time

struct Place {
    void* at;
    int64_t row, column;

    template <class T>
    Matrix<T> as() const {
        return {static_cast<T*>(at), row, column};
    }
};

// Matrices of m rows and n columns; a product has k summands. A size below zero is so many times
// the rows of the batch.
struct Operation {
    int64_t code, option, m, n, k;
    Place a, b, c, d;
    double numbers[3];
};

// What a call adds to: losses, their counts, penalties.
struct Totals {
    double loss, count, penalty;
};

// What a call goes through: rows [first, last), `size` a batch.
struct Batches {
    const void* const* inputs;
    const void* weights;  // of the rows; null: all 1
    int64_t first, last, size;
    double rate;
    int64_t step;  // that have been made
    Totals* sums;
};

template <class T>
struct Step {
    Batches& all;
    Size first, rows;
    const T* weights;  // of these rows
    double counted;    // before this step

    double count() const { return all.sums->count - counted; }
    Size size(int64_t n) const { return n < 0 ? -n * rows : n; }
    // Of a row, or of a row of many steps.
    T weight(Size i) const { return weights ? weights[i % rows] : T(1); }
};

template <class T, class F>
INLINE void over(Size m, Size n, const Matrix<T>& c, F f) {
    for (Size i = 0; i < m; i++)
        for (Size j = 0; j < n; j += kLanes<T>) store_some(c(i) + j, f(i, j, n - j), n - j);
}

template <class T>
void load_rows(const Operation& o, const Step<T>& step) {
    Size steps = larger(o.k, 1);
    const T* from = static_cast<const T*>(step.all.inputs[o.option]) + step.first * steps * o.n;
    Matrix<T> c = o.c.as<T>();
    for (Size i = 0; i < step.rows; i++)
        for (Size t = 0; t < steps; t++, from += o.n)
            __builtin_memcpy(c(t * step.rows + i), from, o.n * sizeof(T));
}

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

template <class T>
void run_decay(const Operation& o, const Step<T>& step) {
    const T *theta = o.a.as<const T>().at, *decay = o.b.as<const T>().at;
    T* grad = o.c.as<T>().at;
    step.all.sums->penalty += sum(o.n, [&](Size i) {
        T pull = theta[i] * decay[i];
        grad[i] += pull;
        return 0.5 * double(theta[i]) * double(pull);
    });
}

template <class T>
void run_clip(const Operation& o, const Step<T>& step) {
    T* grad = o.c.as<T>().at;
    double squares = sum(o.n, [&](Size i) { return double(grad[i]) * double(grad[i]); });
    double share = step.count() * o.numbers[0] / __builtin_sqrt(squares);
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
    T share = T(1.0 / step.count());  // divisions are what takes time here
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
    T momentum = T(o.numbers[0]), rate = T(step.all.rate), count = T(step.count());
    for (Size i = 0; i < o.n; i++) {
        velocity[i] = momentum * velocity[i] + grad[i] / count;
        theta[i] -= rate * velocity[i];
    }
}

// The last of k steps, or their mean.
template <class T>
void run_pool(const Operation& o, const Step<T>& step) {
    Matrix<const T> a = o.a.as<const T>();
    Matrix<T> c = o.c.as<T>();
    Size rows = step.rows, last = (o.k - 1) * rows;
    over(rows, o.n, c, [&](Size i, Size j, Size left) {
        if (o.option == kLastStep) return load_some(a(last + i) + j, left);
        Vec<T> total = {};
        for (Size t = 0; t < o.k; t++) total += load_some(a(t * rows + i) + j, left);
        return total / T(o.k);
    });
}

template <class T>
void run_pool_back(const Operation& o, const Step<T>& step) {
    Matrix<const T> a = o.a.as<const T>();
    Matrix<T> c = o.c.as<T>();
    Size rows = step.rows, last = (o.k - 1) * rows;
    over(o.k * rows, o.n, c, [&](Size i, Size j, Size left) {
        if (o.option == kMeanStep) return load_some(a(i % rows) + j, left) / T(o.k);
        return i < last ? Vec<T>{} : load_some(a(i - last) + j, left);
    });
}

template <class T>
void run_layer_of(const Operation& o, const Step<T>& step) {
    Pass<T> pass = *static_cast<const Pass<T>*>(o.a.at);
    pass.sizes = nullptr, pass.n_rows = pass.n_steps * step.rows;
    with_cell(pass, [&](const auto& passes) { o.option ? passes.backward() : passes.forward(); });
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
        case kLayer: return run_layer_of<T>(o, step);
        case kPool: return run_pool<T>(o, step);
        case kPoolBack: return run_pool_back<T>(o, step);
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
                     weights ? weights + first : nullptr, all.sums->count};
        for (Size i = 0; i < n; i++) run<T>(operations[i], step);
    }
}

}  // namespace
