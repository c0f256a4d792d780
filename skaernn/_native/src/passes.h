// Passes of one recurrent layer in one direction: forward, and backward through time.
//
// Rows lie step after step, those of the longest sequences first. Each has a source [h | x | 1],
// h being the state before its step, and a record, in pieces as wide as h: first what products of
// sources with weights give, one piece a gate, then the gates, in the end their gradients. Products
// take a step at a time; between them each cell says what becomes of its gates, and of the gradient
// of h. Chains are those of `product.h`.

#pragma once

#include "product.h"

namespace {

enum CellKind : int64_t { kTanhCell, kReluCell, kLSTMCell, kGRUCell, kMinGRUCell };

template <class T>
struct Pass {
    int64_t kind, n_inputs, n_hidden, n_steps, n_rows;
    const int64_t* sizes;  // rows of each step, not increasing; n_rows in all
    const T *weight, *candidate_bias;
    T *weight_grad, *candidate_bias_grad;
    const T* x;
    int64_t x_stride;
    T *h, *source, *record;
    const T *initial_h, *initial_c;
    T* delta;
    T* delta_x;  // or null
    int64_t delta_x_stride;
    T *delta_initial_h, *delta_initial_c;
    int64_t begins;  // whether the former is wanted
    T* turned;       // room for the transpose of the weights

    Size n_read() const { return n_hidden + n_inputs; }  // numbers of a source but its 1
};

// Weights between columns of the sources and columns of the records.
template <class T>
struct Block {
    Size from, n_from, to, n_to;
    const T* weight;
    T* grad;
    Size stride;
    bool adds;  // to what a block before has given
};

// What belongs to a row; the next ones are null after its last step.
template <class T>
struct Place {
    T *record, *h, *source, *next_record, *next_source;
    T *delta, *before, *carry;  // gradients: of h, of h before, of what else is handed back
};

// As many units of one row as a vector holds, or fewer.
template <class T, bool whole>
struct Units_ {
    const Place<T>& at;
    Size n_hidden, j;

    Vec<T> read(const T* p) const { return whole ? load(p + j) : load_some(p + j, n_hidden - j); }
    void write(T* p, Vec<T> v) const {
        whole ? store(p + j, v) : store_some(p + j, v, n_hidden - j);
    }
    Vec<T> operator[](Size piece) const { return read(at.record + piece * n_hidden); }
    void set(Size piece, Vec<T> v) const { write(at.record + piece * n_hidden, v); }
    void set_h(Vec<T> v) const {
        write(at.h, v);
        if (at.next_source) write(at.next_source, v);
    }
};

// h' = f(a)
template <class T, Activation f>
struct VanillaCell {
    static constexpr Size pieces = 1, gates = 1, heard = 1, seen = 0;

    template <class U>
    INLINE void forward(const U& u) {
        u.set_h(activated<T>(u[0], f));
    }
    template <class U>
    INLINE void backward(const U& u) {
        u.set(0, u.read(u.at.delta) * slope<T>(u.read(u.at.h), f));
    }
};

// c' = f c + i g, h' = o tanh(c'). A record holds o, i, f, g, tanh(c'), c.
template <class T>
struct LSTMCell {
    static constexpr Size pieces = 6, gates = 4, heard = 4, seen = 0;

    template <class U>
    INLINE void forward(const U& u) {
        Vec<T> o = logistic<T>(u[0]), i = logistic<T>(u[1]), f = logistic<T>(u[2]);
        Vec<T> g = tanh<T>(u[3]), c = fma(i, g, f * u[5]), t = tanh<T>(c);
        u.set(0, o), u.set(1, i), u.set(2, f), u.set(3, g), u.set(4, t);
        if (u.at.next_record) u.write(u.at.next_record + 5 * u.n_hidden, c);
        u.set_h(o * t);
    }
    template <class U>
    INLINE void backward(const U& u) {
        Vec<T> o = u[0], i = u[1], f = u[2], g = u[3], t = u[4];
        Vec<T> dh = u.read(u.at.delta), one = splat(T(1));
        Vec<T> dc = fma(dh * o, fma(-t, t, one), u.read(u.at.carry));
        u.set(0, dh * t * (o * (one - o)));
        u.set(1, dc * g * (i * (one - i)));
        u.set(2, dc * u[5] * (f * (one - f)));
        u.set(3, dc * i * fma(-g, g, one));
        u.write(u.at.carry, dc * f);
    }
};

// n = tanh(a + r q), h' = n + z (h - n). A record holds q, r, z, n: h reaches the first three, x
// the last three.
template <class T>
struct GRUCell {
    static constexpr Size pieces = 4, gates = 3, heard = 3, seen = 1;

    template <class U>
    INLINE void forward(const U& u) {
        Vec<T> r = logistic<T>(u[1]), z = logistic<T>(u[2]), n = tanh<T>(fma(r, u[0], u[3]));
        u.set(1, r), u.set(2, z), u.set(3, n);
        u.set_h(fma(z, u.read(u.at.source) - n, n));
    }
    template <class U>
    INLINE void backward(const U& u) {
        Vec<T> q = u[0], r = u[1], z = u[2], n = u[3];
        Vec<T> dh = u.read(u.at.delta), one = splat(T(1));
        Vec<T> dn = dh * (one - z) * fma(-n, n, one);
        u.set(0, dn * r);
        u.set(1, dn * q * (r * (one - r)));
        u.set(2, dh * (u.read(u.at.source) - n) * (z * (one - z)));
        u.set(3, dn);
        u.write(u.at.before, fma(dh, z, u.read(u.at.before)));
    }
};

// h' = h + z (g(a) - h), g(a) = a + 1/2 for a >= 0, else logistic(a). A record holds z, g, g'.
template <class T>
struct MinGRUCell {
    static constexpr Size pieces = 3, gates = 2, heard = 0, seen = 0;

    template <class U>
    INLINE void forward(const U& u) {
        Vec<T> z = logistic<T>(u[0]), a = u[1], s = logistic<T>(a), h = u.read(u.at.source);
        Vec<T> n = a < T(0) ? s : a + T(0.5);
        u.set(0, z), u.set(1, n), u.set(2, a < T(0) ? s * (T(1) - s) : splat(T(1)));
        u.set_h(fma(z, n - h, h));
    }
    template <class U>
    INLINE void backward(const U& u) {
        Vec<T> z = u[0], kept = T(1) - z, dh = u.read(u.at.delta);
        Vec<T> before = u.read(u.at.source), difference = u[1] - before;
        u.set(0, dh * difference * (z * kept));
        u.set(1, dh * z * u[2]);
        u.write(u.at.before, fma(dh, kept, u.read(u.at.before)));
    }
};

template <class T, class Cell>
class Layered {
   public:
    explicit Layered(const Pass<T>& pass)
        : p_(pass), H_(pass.n_hidden), width_(pass.n_read() + 1), pieces_(Cell::pieces * H_) {}

    void forward() {
        begin();
        for (Size t = 0, row = 0; t < p_.n_steps; row += p_.sizes[t++]) {
            Size n = p_.sizes[t];
            copy(p_.x + row * p_.x_stride, p_.x_stride, source(row) + H_, width_, n, p_.n_inputs);
            each_block([&](const Block<T>& b) {
                product<T>({n, b.n_to, b.n_from,
                            {source(row) + b.from, width_, 1},
                            {b.weight, b.stride, 1},
                            {record(row) + b.to, pieces_, 1},
                            b.adds});
            });
            each_unit(t, row, [](const auto& units) { Cell::forward(units); });
        }
    }

    void backward() {
        turn_weights();
        zero(p_.delta_initial_h), zero(p_.delta_initial_c);
        Size row = p_.n_rows, piece = (row - 1) / kChain * kChain;
        for (Size t = p_.n_steps - 1; t >= 0; t--) {
            Size n = p_.sizes[t];
            row -= n;
            each_unit(t, row, [](const auto& units) { Cell::backward(units); });
            if (Cell::heard && (t || p_.begins))
                product<T>({n, H_, Cell::heard * H_,
                            {record(row), pieces_, 1},
                            {p_.turned, turned_width(), 1},
                            {before(t, row), H_, 1},
                            true});
            for (; piece >= row; piece -= kChain) sum_up(piece, smaller(kChain, p_.n_rows - piece));
        }
    }

   private:
    T* source(Size row) const { return p_.source + row * width_; }
    T* record(Size row) const { return p_.record + row * pieces_; }
    T* before(Size t, Size row) const {
        return t ? p_.delta + (row - p_.sizes[t - 1]) * H_ : p_.delta_initial_h;
    }
    Size turned_width() const { return p_.delta_x ? p_.n_read() : H_; }

    static void copy(const T* from, Size from_stride, T* to, Size to_stride, Size n, Size width) {
        for (Size r = 0; r < n; r++)
            for (Size j = 0; j < width; j++) to[r * to_stride + j] = from[r * from_stride + j];
    }
    void zero(T* states) const {
        for (Size j = 0; states && j < p_.sizes[0] * H_; j++) states[j] = 0;
    }

    void begin() const {
        copy(p_.initial_h, H_, p_.source, width_, p_.sizes[0], H_);
        if (p_.initial_c) copy(p_.initial_c, H_, p_.record + 5 * H_, pieces_, p_.sizes[0], H_);
    }

    template <class F>
    void each_block(F f) const {
        Size n_gates = Cell::gates * H_, all = width_;
        if constexpr (Cell::seen > 0) {  // a GRU, whose weights are those of n, r, z
            const T *w = p_.weight, *w_x = w + H_ * n_gates;
            T *g = p_.weight_grad, *g_x = g + H_ * n_gates;
            f(Block<T>{0, all, H_, 2 * H_, w + H_, g + H_, n_gates, false});
            f(Block<T>{H_, all - H_, 3 * H_, H_, w_x, g_x, n_gates, false});
            f(Block<T>{0, H_, 0, H_, w, g, n_gates, false});
            f(Block<T>{all - 1, 1, 0, H_, p_.candidate_bias, p_.candidate_bias_grad, H_, true});
        } else {
            Size from = Cell::heard ? 0 : H_;
            f(Block<T>{from, all - from, 0, n_gates, p_.weight, p_.weight_grad, n_gates, false});
        }
    }

    // All units of step t, whose rows begin at `row`.
    template <class F>
    void each_unit(Size t, Size row, F f) const {
        constexpr Size L = kLanes<T>;
        Size n = p_.sizes[t], n_next = t + 1 < p_.n_steps ? p_.sizes[t + 1] : 0;
        T* past = before(t, row);
        for (Size r = 0; r < n; r++) {
            Place<T> at{record(row + r), p_.h + (row + r) * H_, source(row + r), nullptr, nullptr,
                        p_.delta + (row + r) * H_, past + r * H_, p_.delta_initial_c + r * H_};
            if (r < n_next) at.next_record = record(row + n + r), at.next_source = source(row + n + r);
            Size j = 0;
            for (; j + L <= H_; j += L) f(Units_<T, true>{at, H_, j});
            if (j < H_) f(Units_<T, false>{at, H_, j});
        }
    }

    void turn_weights() const {
        Size width = turned_width();
        each_block([&](const Block<T>& b) {
            Size n = smaller(b.from + b.n_from, width) - b.from;
            transpose<T>(n, b.n_to, {b.weight, b.stride, 1},
                         {p_.turned + b.to * width + b.from, width, 1});
        });
    }

    // What n rows add to the gradient of the weights, and the gradient of their input.
    void sum_up(Size row, Size n) const {
        bool adds = row + n < p_.n_rows;
        each_block([&](const Block<T>& b) {
            product<T>({b.n_from, b.n_to, n,
                        {source(row) + b.from, 1, width_},
                        {record(row) + b.to, pieces_, 1},
                        {b.grad, b.stride, 1},
                        adds});
        });
        if (!p_.delta_x) return;
        Size seen = Cell::seen * H_, n_seen = Cell::gates * H_;
        product<T>({n, p_.n_inputs, n_seen,
                    {record(row) + seen, pieces_, 1},
                    {p_.turned + seen * turned_width() + H_, turned_width(), 1},
                    {p_.delta_x + row * p_.delta_x_stride, p_.delta_x_stride, 1},
                    false});
    }

    const Pass<T>& p_;
    Size H_, width_, pieces_;
};

template <class T, class F>
void with_cell(const Pass<T>& pass, F f) {
    Flushed denormals;
    switch (pass.kind) {
        case kTanhCell: return f(Layered<T, VanillaCell<T, kTanh>>(pass));
        case kReluCell: return f(Layered<T, VanillaCell<T, kRelu>>(pass));
        case kLSTMCell: return f(Layered<T, LSTMCell<T>>(pass));
        case kGRUCell: return f(Layered<T, GRUCell<T>>(pass));
        default: return f(Layered<T, MinGRUCell<T>>(pass));
    }
}

}  // namespace
