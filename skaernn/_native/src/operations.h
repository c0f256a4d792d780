// What programs are made of: operations on matrices whose places are known when they are recorded,
// run on batch after batch.

#pragma once

#include "product.h"

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
    kShrink,         // c -= the share that is lost of b c
};

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

// Rows of numbers to read: those that are named, or one behind the other where none are.
struct Input {
    const void* at;
    const int64_t* rows;
};

// What a call goes through: rows [first, last), `size` a batch.
struct Batches {
    const Input* inputs;
    const void* weights;  // of the rows; null: all 1
    int64_t first, last, size;
    double rate, lost;
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

}  // namespace
