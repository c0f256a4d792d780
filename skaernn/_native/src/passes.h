// Passes of one recurrent layer in one direction: forward, and backward through time.
//
// Rows lie step after step, as sequences are packed. Each has a source [h | x | 1], h being the
// state before its step. A product of the sources of a step with the weights of a gate fills as
// much of the gate's matrix (rows, H), then the cell goes over all its matrices number by number:
// first they hold the gates, and what else the way back needs, in the end the gates' gradients.
// Chains are those of `product.h`; every number depends on its own sequence alone, but for the
// gradients of the weights, whose sums over rows are taken from the last ones to the first.

#pragma once

#include "product.h"

namespace {

enum CellKind : int64_t { kTanhCell, kReluCell, kLSTMCell, kGRUCell, kMinGRUCell };

template <class T>
struct Pass {
    int64_t kind, n_inputs, n_hidden, n_steps, n_rows;
    const int64_t* sizes;  // rows of each step, not increasing; n_rows in all; null: all equal
    const T *weight, *candidate_bias;  // the latter of a GRU alone
    T *weight_grad, *candidate_bias_grad;
    int64_t weight_stride;
    const T* x;
    int64_t x_stride;
    T *source, *matrices, *h;
    const T *initial_h, *initial_c;
    T *delta, *delta_initial_h, *delta_initial_c;
    int64_t begins;  // whether the gradients of the initial states are wanted
    T* delta_x;      // or null
    int64_t delta_x_stride;
    T* turned;  // room for the transposed weights of every gate
};

// Where the numbers of a step lie, b H of each kind: the rows of a step lie side by side, as do, in
// the step before, the rows that go on.
template <class T>
struct Views {
    T* matrices;
    Size matrix;  // from one to the next
    T* h;
    const T *past_h, *past_c;
    T *delta, *delta_past_h, *delta_c;  // the last: of c after the step, then before it
};

// A vector of them from number i on, or what is left.
template <class T, bool whole>
struct Numbers {
    const Views<T>& at;
    Size i, left;

    Vec<T> read(const T* p) const { return whole ? load(p + i) : load_some(p + i, left); }
    void write(T* p, Vec<T> v) const { whole ? store(p + i, v) : store_some(p + i, v, left); }
    Vec<T> operator[](Size k) const { return read(at.matrices + k * at.matrix); }
    void set(Size k, Vec<T> v) const { write(at.matrices + k * at.matrix, v); }
};

// What a gate reads, and which columns of the weights are its own, H by H.
enum Reads { kH = 1, kX = 2, kBoth = 3 };
struct Gate {
    Reads reads;
    int columns;
};

// The cells: their gates, which are their first matrices, and what becomes of these on both ways.

// h' = f(a)
template <class T, Activation f>
struct VanillaCell {
    static constexpr Gate gates[] = {{kBoth, 0}};

    template <class N>
    INLINE void forward(const N& n) {
        n.write(n.at.h, activated<T>(n[0], f));
    }
    template <class N>
    INLINE void backward(const N& n) {
        n.set(0, n.read(n.at.delta) * slope<T>(n.read(n.at.h), f));
    }
};

// c' = f c + i g, h' = o tanh(c'). Matrices: o, i, f, g; tanh(c'), c'.
template <class T>
struct LSTMCell {
    static constexpr int c = 5;
    static constexpr Gate gates[] = {{kBoth, 0}, {kBoth, 1}, {kBoth, 2}, {kBoth, 3}};

    template <class N>
    INLINE void forward(const N& n) {
        Vec<T> o = logistic<T>(n[0]), i = logistic<T>(n[1]), f = logistic<T>(n[2]);
        Vec<T> g = tanh<T>(n[3]), c = fma(i, g, f * n.read(n.at.past_c)), t = tanh<T>(c);
        n.set(0, o), n.set(1, i), n.set(2, f), n.set(3, g), n.set(4, t), n.set(LSTMCell::c, c);
        n.write(n.at.h, o * t);
    }
    template <class N>
    INLINE void backward(const N& n) {
        Vec<T> o = n[0], i = n[1], f = n[2], g = n[3], t = n[4], one = splat(T(1));
        Vec<T> dh = n.read(n.at.delta);
        Vec<T> dc = fma(dh * o, fma(-t, t, one), n.read(n.at.delta_c));
        n.set(0, dh * t * (o * (one - o)));
        n.set(1, dc * g * (i * (one - i)));
        n.set(2, dc * n.read(n.at.past_c) * (f * (one - f)));
        n.set(3, dc * i * fma(-g, g, one));
        n.write(n.at.delta_c, dc * f);
    }
};

// n = tanh(a + r q), h' = n + z (h - n). Matrices: q, r, z, a and then n; q and a have the columns
// of n, and q another bias.
template <class T>
struct GRUCell {
    static constexpr Gate gates[] = {{kH, 0}, {kBoth, 1}, {kBoth, 2}, {kX, 0}};

    template <class N>
    INLINE void forward(const N& n) {
        Vec<T> r = logistic<T>(n[1]), z = logistic<T>(n[2]);
        Vec<T> candidate = tanh<T>(fma(r, n[0], n[3]));
        n.set(1, r), n.set(2, z), n.set(3, candidate);
        n.write(n.at.h, fma(z, n.read(n.at.past_h) - candidate, candidate));
    }
    template <class N>
    INLINE void backward(const N& n) {
        Vec<T> q = n[0], r = n[1], z = n[2], candidate = n[3], one = splat(T(1));
        Vec<T> dh = n.read(n.at.delta);
        Vec<T> dn = dh * (one - z) * fma(-candidate, candidate, one);
        n.set(0, dn * r);
        n.set(1, dn * q * (r * (one - r)));
        n.set(2, dh * (n.read(n.at.past_h) - candidate) * (z * (one - z)));
        n.set(3, dn);
        n.write(n.at.delta_past_h, fma(dh, z, n.read(n.at.delta_past_h)));
    }
};

// h' = h + z (g(a) - h), g(a) = a + 1/2 for a >= 0, else logistic(a). Matrices: z, g; g'.
template <class T>
struct MinGRUCell {
    static constexpr Gate gates[] = {{kX, 0}, {kX, 1}};

    template <class N>
    INLINE void forward(const N& n) {
        Vec<T> z = logistic<T>(n[0]), a = n[1], s = logistic<T>(a), h = n.read(n.at.past_h);
        Vec<T> candidate = a < T(0) ? s : a + T(0.5);
        n.set(0, z), n.set(1, candidate);
        n.set(2, a < T(0) ? s * (T(1) - s) : splat(T(1)));
        n.write(n.at.h, fma(z, candidate - h, h));
    }
    template <class N>
    INLINE void backward(const N& n) {
        Vec<T> z = n[0], kept = T(1) - z, dh = n.read(n.at.delta);
        Vec<T> difference = n[1] - n.read(n.at.past_h);
        n.set(0, dh * difference * (z * kept));
        n.set(1, dh * z * n[2]);
        n.write(n.at.delta_past_h, fma(dh, kept, n.read(n.at.delta_past_h)));
    }
};

// Weights that columns [first, first + n) of the sources have in a gate.
template <class T>
struct Block {
    Size gate, first, n;
    const T* weight;
    T* grad;
    Size stride;
    bool adds;  // to what a block before has made of the gate
};

template <class T, class Cell>
class LayerPasses {
   public:
    explicit LayerPasses(const Pass<T>& pass)
        : p_(pass), n_hidden_(pass.n_hidden), n_read_(n_hidden_ + pass.n_inputs) {}

    void forward() const {
        for (Size t = 0, row = 0; t < p_.n_steps; row += size(t++)) {
            Size n = size(t);
            copy_rows({past_h(t, row), n_hidden_, 1}, source(row), n, n_hidden_);
            copy_rows({p_.x + row * p_.x_stride, p_.x_stride, 1}, source(row, n_hidden_), n,
                      p_.n_inputs);
            each_block([&](const Block<T>& b) {
                product<T>({n, n_hidden_, b.n, constant(source(row, b.first)),
                            {b.weight, b.stride, 1}, gate(b.gate, row), b.adds});
            });
            each_number(t, row, [](const auto& numbers) { Cell::forward(numbers); });
        }
    }

    void backward() const {
        turn_weights();
        clear(p_.delta_initial_h), clear(p_.delta_initial_c);
        Size row = p_.n_rows, piece = (row - 1) / kChain * kChain;  // where the last one begins
        for (Size t = p_.n_steps - 1; t >= 0; t--) {
            row -= size(t);
            each_number(t, row, [](const auto& numbers) { Cell::backward(numbers); });
            if (t || p_.begins) add_to_past(t, row);
            for (; piece >= row; piece -= kChain) {
                Size n = smaller(kChain, p_.n_rows - piece);
                add_to_weights(piece, n);
                if (p_.delta_x) set_delta_x(piece, n);
            }
        }
    }

   private:
    static constexpr int kGates = sizeof(Cell::gates) / sizeof(Gate);

    Size size(Size t) const { return p_.sizes ? p_.sizes[t] : p_.n_rows / p_.n_steps; }
    Matrix<T> source(Size row, Size column = 0) const {
        return {p_.source + row * (n_read_ + 1) + column, n_read_ + 1, 1};
    }
    Matrix<T> gate(Size k, Size row) const {
        return {p_.matrices + (k * p_.n_rows + row) * n_hidden_, n_hidden_, 1};
    }
    Matrix<T> turned(Size k, Size column) const {
        return {p_.turned + k * n_hidden_ * n_read_ + column, n_read_, 1};
    }
    static Matrix<const T> constant(const Matrix<T>& a) { return {a.at, a.row, a.column}; }

    // States before step t, whose rows begin at `row`, and the gradient of h there.
    Size past(Size t, Size row) const { return (row - size(t - 1)) * n_hidden_; }
    const T* past_h(Size t, Size row) const { return t ? p_.h + past(t, row) : p_.initial_h; }
    const T* past_c(Size t, Size row) const {
        if (!p_.initial_c) return nullptr;
        return t ? gate(LSTMCell<T>::c, 0).at + past(t, row) : p_.initial_c;
    }
    T* delta_past_h(Size t, Size row) const {
        return t ? p_.delta + past(t, row) : p_.delta_initial_h;
    }

    void clear(T* states) const {
        for (Size i = 0; states && i < size(0) * n_hidden_; i++) states[i] = 0;
    }
    static void copy_rows(const Matrix<const T>& from, const Matrix<T>& to, Size n, Size width) {
        for (Size r = 0; r < n; r++)
            for (Size j = 0; j < width; j += kLanes<T>)
                store_some(to(r) + j, load_some(from(r) + j, width - j), width - j);
    }

    // The parameters: rows of weights that read [h | x | 1], or [x | 1] where no gate reads h.
    template <class F>
    void each_block(F f) const {
        constexpr bool hears = Cell::gates[0].reads & kH;
        for (int k = 0; k < kGates; k++) {
            auto [reads, columns] = Cell::gates[k];
            Size first = reads & kH ? 0 : n_hidden_, end = reads & kX ? n_read_ + 1 : n_hidden_;
            Size from = (hears ? first : 0) * p_.weight_stride + columns * n_hidden_;
            f(Block<T>{k, first, end - first, p_.weight + from, p_.weight_grad + from,
                       p_.weight_stride, false});
        }
        if (p_.candidate_bias)
            f(Block<T>{0, n_read_, 1, p_.candidate_bias, p_.candidate_bias_grad, n_hidden_, true});
    }

    // Every number of step t, whose rows begin at `row`.
    template <class F>
    void each_number(Size t, Size row, F f) const {
        Size at = row * n_hidden_, n = size(t) * n_hidden_, i = 0;
        Views<T> views{p_.matrices + at, p_.n_rows * n_hidden_, p_.h + at, past_h(t, row),
                       past_c(t, row), p_.delta + at, delta_past_h(t, row), p_.delta_initial_c};
        for (; i + kLanes<T> <= n; i += kLanes<T>) f(Numbers<T, true>{views, i, kLanes<T>});
        if (i < n) f(Numbers<T, false>{views, i, n - i});
    }

    // The weights without biases, each gate's (H, H + C).
    void turn_weights() const {
        each_block([&](const Block<T>& b) {
            Size n = smaller(b.n, n_read_ - b.first);
            transpose<T>(n, n_hidden_, {b.weight, b.stride, 1}, turned(b.gate, b.first));
        });
    }

    // From the gradients of gates to that of the states which they have read.
    void add_to_past(Size t, Size row) const {
        for (int k = 0; k < kGates; k++)
            if (Cell::gates[k].reads & kH)
                product<T>({size(t), n_hidden_, n_hidden_, constant(gate(k, row)),
                            constant(turned(k, 0)), {delta_past_h(t, row), n_hidden_, 1}, true});
    }

    // The same of their weights, for n rows; the last rows come first.
    void add_to_weights(Size row, Size n) const {
        bool adds = row + n < p_.n_rows;
        each_block([&](const Block<T>& b) {
            Matrix<T> read = source(row, b.first);
            product<T>({b.n, n_hidden_, n, {read.at, read.column, read.row},
                        constant(gate(b.gate, row)), {b.grad, b.stride, 1}, adds});
        });
    }

    void set_delta_x(Size row, Size n) const {
        Matrix<T> to{p_.delta_x + row * p_.delta_x_stride, p_.delta_x_stride, 1};
        bool adds = false;
        for (int k = 0; k < kGates; k++)
            if (Cell::gates[k].reads & kX) {
                product<T>({n, p_.n_inputs, n_hidden_, constant(gate(k, row)),
                            constant(turned(k, n_hidden_)), to, adds});
                adds = true;
            }
    }

    const Pass<T>& p_;
    Size n_hidden_, n_read_;
};

template <class T, class F>
void with_cell(const Pass<T>& pass, F f) {
    Flushed denormals;
    switch (pass.kind) {
        case kTanhCell: return f(LayerPasses<T, VanillaCell<T, kTanh>>(pass));
        case kReluCell: return f(LayerPasses<T, VanillaCell<T, kRelu>>(pass));
        case kLSTMCell: return f(LayerPasses<T, LSTMCell<T>>(pass));
        case kGRUCell: return f(LayerPasses<T, GRUCell<T>>(pass));
        default: return f(LayerPasses<T, MinGRUCell<T>>(pass));
    }
}

}  // namespace
