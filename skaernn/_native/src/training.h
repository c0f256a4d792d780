// Steps of a solver through many batches in one call: a program is a list of operations, recorded
// once, from the rows of a batch to the next parameters.

#pragma once

#include "losses.h"
#include "passes.h"

namespace {

enum StepPooling : int64_t { kLastStep, kMeanStep };

template <class T>
void load_rows(const Operation& o, const Step<T>& step) {
    Size steps = larger(o.k, 1);
    const Input& input = step.all.inputs[o.option];
    Matrix<T> c = o.c.as<T>();
    for (Size i = 0; i < step.rows; i++) {
        Size place = step.first + i, row = input.rows ? input.rows[place] : place * steps;
        const T* from = static_cast<const T*>(input.at) + row * o.n;
        for (Size t = 0; t < steps; t++, from += o.n)
            __builtin_memcpy(c(t * step.rows + i), from, o.n * sizeof(T));
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

// Loshchilov & Hutter (2019): weight decay apart from the gradient.
template <class T>
void run_shrink(const Operation& o, const Step<T>& step) {
    const T* shrunk = o.b.as<const T>().at;
    T *theta = o.c.as<T>().at, lost = T(step.all.lost);
    if (lost > 0)
        for (Size i = 0; i < o.n; i++) theta[i] -= lost * shrunk[i] * theta[i];
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
        case kShrink: return run_shrink<T>(o, step);
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
