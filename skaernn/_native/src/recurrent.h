// Sequences through a recurrent network: layers, pooling, output.
//
// A group of sequences, longest first, goes through a few steps at a time, layer by layer; those
// that have a step t come before those that have ended. No number of a sequence depends on the
// others of its group, nor on where its steps are cut.

#pragma once

#include "memory.h"
#include "units.h"

namespace {

enum Pooling : int64_t { kEveryStep, kLast, kMean, kMax, kAttention };

template <class T>
struct Network {
    int64_t n_channels, n_layers, n_directions, pooling, n_outputs;
    int64_t state_width, state_of_pool;  // where its accumulators begin
    int64_t n_skipped;                   // channels that the output reads
    int64_t n_places;                    // of a window; 0: there is none
    const T* window;                     // what a step adds, by its place: rows of whole vectors
    const Layer<T>* layers;              // direction by direction in each layer
    const Layer<T>* output;              // reads [h | x], or h alone
    const Layer<T>* query;               // of attention
    Units in, out;

    const Layer<T>& layer(Size i, Size direction) const {
        return layers[i * n_directions + direction];
    }
    Size n_hidden() const { return n_directions * layers[0].n_units; }
    // Columns of a row of states: both directions, with room for a whole vector at the end.
    Size width() const { return (n_directions - 1) * layers[0].n_units + layers[0].padded(); }
    // What the output reads: all that is pooled, then the sum over a window.
    Size n_pooled() const { return n_hidden() + n_skipped; }
    Size n_read() const { return n_hidden() + output->n_h; }
};

// What is to be run: rows [first, last) of `order`, and of each the steps [begin, end) that it has.
// Without `starts` and `lengths` a row has one step, its own; without `order` or `state_rows` the
// rows are in order, or their states are.
struct Run {
    const void* steps;  // row-major, n_channels wide
    const int64_t *starts, *lengths, *order, *state_rows;
    int64_t stride;  // from one step of a sequence to the next, in steps
    void* states;    // in and out, state_width wide
    void* outputs;
    const int64_t* begins;  // where the outputs of each sequence begin, if it has one a step
    int64_t first, last, begin, end;

    Size row(Size i) const { return order ? order[i] : i; }
    Size start(Size row) const { return starts ? starts[row] : row; }
    Size first_output(Size row) const { return begins ? begins[row] : row; }
    Size state_row(Size row) const { return state_rows ? state_rows[row] : row; }
    Size steps_of(Size row) const { return smaller(lengths ? lengths[row] : 1, end) - begin; }
};

constexpr Size kSteps = 16;  // at a time, in one direction

template <class T, class IO>
class Group {
   public:
    Group(const Network<T>& network, const Run& run, Size rows, Size steps)
        : network_(network),
          run_(run),
          rows_(rows),
          x_step_(rows * network.n_channels),
          h_step_(rows * network.width()),
          scratch_(size(network, rows, steps)) {
        if (!scratch_) return;
        x_ = scratch_.template take<T>(steps * x_step_ + kRoom);
        for (T*& h : h_) h = scratch_.template take<T>(steps * h_step_ + kRoom);
        Size n_layers = network.n_layers * network.n_directions;
        begun_ = scratch_.template take<T>(n_layers * rows * padded() + kRoom);
        memory_ = scratch_.template take<T>(n_layers * rows * padded() + kRoom);
        pooled_ = scratch_.template take<T>(rows * network.n_read() + kRoom);
        scores_ = scratch_.template take<T>(rows * kLanes<T>);
        answers_ = scratch_.template take<T>(rows * network.output->padded());
        row_ = scratch_.template take<int64_t>(rows);
        length_ = scratch_.template take<int64_t>(rows);
        alive_ = scratch_.template take<int64_t>(steps);
    }

    bool has_memory() const { return static_cast<bool>(scratch_); }

    // Rows [first, first + n) of the order, as far as they have steps in the window.
    void run(Size first, Size n, Size steps) {
        n_ = 0;
        for (Size i = 0; i < n; i++) {
            Size row = run_.row(first + i), length = run_.steps_of(row);
            if (length <= 0) break;  // longest first
            row_[n_] = row, length_[n_] = length, n_++;
        }
        if (!n_) return;
        begin();
        for (Size t = 0; t < length_[0]; t += steps) block(t, smaller(length_[0] - t, steps));
        if (network_.pooling != kEveryStep) {
            answer(pooled_, network_.n_read(), pooled_ + network_.n_hidden(), network_.n_read(),
                   n_);
            for (Size r = 0; r < n_; r++) write(r, row_[r]);
        }
        end();
    }

   private:
    static constexpr Size kRoom = 2 * kLanes<T>;  // behind the last row, for whole vectors

    static Size size(const Network<T>& network, Size rows, Size steps) {
        Size n_layers = network.n_layers * network.n_directions;
        Size padded = network.layers[0].padded();
        return Scratch::size<T>(steps * rows * network.n_channels + kRoom) +
               2 * Scratch::size<T>(steps * rows * network.width() + kRoom) +
               2 * Scratch::size<T>(n_layers * rows * padded + kRoom) +
               Scratch::size<T>(rows * network.n_read() + kRoom) +
               Scratch::size<T>(rows * kLanes<T>) +
               Scratch::size<T>(rows * network.output->padded()) +
               2 * Scratch::size<int64_t>(rows) + Scratch::size<int64_t>(steps);
    }

    Size padded() const { return network_.layers[0].padded(); }
    Size n_units() const { return network_.layers[0].n_units; }
    T* state(Size r) const {
        return static_cast<T*>(run_.states) + run_.state_row(row_[r]) * network_.state_width;
    }
    T* begun(Size layer) const { return begun_ + layer * rows_ * padded(); }
    T* memory(Size layer) const { return memory_ + layer * rows_ * padded(); }
    bool has_memory(Size layer) const { return network_.layers[layer].kind == kLSTM; }

    // States from the user's array, and back; networks of two directions have none.
    void begin() {
        each_state([](T* own, T* users, Size n) {
            for (Size j = 0; j < n; j++) own[j] = users[j];
        });
    }
    void end() {
        if (network_.n_directions > 1) return;
        each_state([](T* own, T* users, Size n) {
            for (Size j = 0; j < n; j++) users[j] = own[j];
        });
    }
    template <class F>
    void each_state(F copy) {
        Size layers = network_.n_layers * network_.n_directions, n = n_units();
        for (Size r = 0; r < n_; r++) {
            T* users = state(r);
            for (Size i = 0; i < layers; i++) {
                T *h = begun(i) + r * padded(), *c = memory(i) + r * padded();
                if (network_.n_directions > 1) {
                    for (Size j = 0; j < n; j++) h[j] = c[j] = 0;
                    continue;
                }
                copy(h, users, n), users += n;
                if (has_memory(i)) copy(c, users, n), users += n;
            }
        }
    }

    // `steps` steps from t0 on: through all layers, into the pooling.
    void block(Size t0, Size steps) {
        Size alive = n_;
        for (Size t = 0; t < steps; t++) {
            while (length_[alive - 1] <= t0 + t) alive--;
            alive_[t] = alive;
            for (Size r = 0; r < alive; r++) {
                const IO* from = static_cast<const IO*>(run_.steps) +
                                 (run_.start(row_[r]) + run_.stride * (run_.begin + t0 + t)) *
                                     network_.n_channels;
                to_scaled(network_.in, from, x_ + t * x_step_ + r * network_.n_channels,
                          network_.n_channels, true);
            }
        }
        const T* in = x_;
        Size in_step = x_step_, in_stride = network_.n_channels;
        T* h = h_[0];
        for (Size i = 0; i < network_.n_layers; i++) {
            h = h_[i % 2];
            Flushed denormals;
            for (Size d = 0; d < network_.n_directions; d++)
                through(i * network_.n_directions + d, in, in_step, in_stride,
                        h + d * n_units(), steps, d > 0);
            in = h, in_step = h_step_, in_stride = network_.width();
        }
        for (Size t = 0; t < steps; t++) pool(h, t, t0);
    }

    // One layer in one direction over the steps of a block.
    void through(Size layer, const T* in, Size in_step, Size in_stride, T* out, Size steps,
                 bool backwards) {
        Size width = network_.width();
        for (Size i = 0; i < steps; i++) {
            Size t = backwards ? steps - 1 - i : i;
            Size before = backwards ? t + 1 : t - 1;
            // rows that come from a step of the block, and rows that begin here
            Size going = before < 0 ? 0 : before >= steps ? 0 : smaller(alive_[before], alive_[t]);
            const T* x = in + t * in_step;
            T* h = out + t * h_step_;
            if (going)
                one(layer, 0, going, x, in_stride, out + before * h_step_, width, h);
            if (going < alive_[t])
                one(layer, going, alive_[t] - going, x, in_stride, begun(layer), padded(), h);
        }
        if (backwards) return;
        for (Size r = 0; r < alive_[0]; r++) {
            Size t = steps - 1;
            while (alive_[t] <= r) t--;
            for (Size j = 0; j < n_units(); j++)
                begun(layer)[r * padded() + j] = out[t * h_step_ + r * width + j];
        }
    }

    void one(Size layer, Size row, Size n, const T* x, Size x_stride, const T* h, Size h_stride,
             T* out) {
        Rows<T> rows{x + row * x_stride,
                     x_stride,
                     h + row * h_stride,
                     h_stride,
                     out + row * network_.width(),
                     network_.width(),
                     memory(layer) + row * padded(),
                     padded()};
        run_layer(network_.layers[layer], rows, n);
    }

    // Step t of the block into what is read of the sequences.
    void pool(const T* h, Size t, Size t0) {
        Size n_hidden = network_.n_hidden(), n_skipped = network_.n_skipped;
        Size n_pooled = network_.n_pooled(), n_read = network_.n_read();
        Size n = alive_[t], width = network_.width();
        const T *u = h + t * h_step_, *x = x_ + t * x_step_;
        if (network_.pooling == kEveryStep) {
            answer(u, width, x, network_.n_channels, n);
            for (Size r = 0; r < n; r++)
                write(r, run_.first_output(row_[r]) + run_.begin + t0 + t);
            return;
        }
        if (network_.pooling == kAttention) {
            Rows<T> rows{u, width, u, width, scores_, kLanes<T>, scores_, 0};
            run_layer(*network_.query, rows, n);
        }
        for (Size r = 0; r < n; r++) {
            bool last = length_[r] == t0 + t + 1;
            T* both = pooled_ + r * n_read;
            if (network_.n_places)
                one_more(r, x + r * network_.n_channels, last ? both + n_pooled : nullptr);
            if (network_.pooling == kLast && !last) continue;
            for (Size j = 0; j < n_hidden; j++) both[j] = u[r * width + j];
            for (Size j = 0; j < n_skipped; j++)
                both[n_hidden + j] = x[r * network_.n_channels + j];
            if (network_.pooling == kLast) {
                if (network_.n_directions > 1)  // the other direction ends at the first step
                    for (Size j = n_units(); j < n_hidden; j++) both[j] = h[r * width + j];
                continue;
            }
            accumulate(r, both, n_pooled, last);
        }
    }

    // One step x into the sum over a window, which goes to `sum` after the last one.
    void one_more(Size r, const T* x, T* sum) {
        Size n = network_.n_outputs, row = (n + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
        T *place = state(r) + network_.state_width - 1, *total = place - n;
        if (*place < T(network_.n_places)) {
            const T* weight = network_.window + Size(*place) * network_.n_channels * row;
            for (Size j = 0; j < n; j += kLanes<T>) {
                Vec<T> now = load_some(total + j, n - j);
                for (Size c = 0; c < network_.n_channels; c++)
                    now = fma(splat(x[c]), load(weight + c * row + j), now);
                store_some(total + j, now, n - j);
            }
        }
        *place += 1;
        for (Size j = 0; j < n && sum; j++) sum[j] = total[j];
    }

    // One step u of a sequence into its accumulators; after the last one, u is what they give.
    void accumulate(Size r, T* u, Size n, bool last) {
        T* total = state(r) + network_.state_of_pool;
        T *count = total + n, *top = count + 1;
        bool begun = *count > 0;
        if (network_.pooling == kMean) {
            for (Size j = 0; j < n; j++) total[j] += u[j];
            *count += 1;
        } else if (network_.pooling == kMax) {
            for (Size j = 0; j < n; j++)
                total[j] = begun && !(u[j] > total[j]) ? total[j] : u[j];
            *count += 1;
        } else {
            T score = scores_[r * kLanes<T>];
            T highest = begun && *top > score ? *top : score;
            T kept = begun ? exponential<T>(splat(*top - highest))[0] : T(0);
            T share = exponential<T>(splat(score - highest))[0];
            for (Size j = 0; j < n; j++) total[j] = kept * total[j] + share * u[j];
            *count = kept * *count + share;
            *top = highest;
        }
        if (last)
            for (Size j = 0; j < n; j++)
                u[j] = network_.pooling == kMax ? total[j] : total[j] / *count;
    }

    void answer(const T* h, Size h_stride, const T* x, Size x_stride, Size n) {
        const Layer<T>& output = *network_.output;
        Rows<T> rows{h, h_stride, x, x_stride, answers_, output.padded(), answers_, 0};
        run_layer(output, rows, n);
        if (output.activation >= kSoftmax)
            for (Size r = 0; r < n; r++)
                activate_row(answers_ + r * output.padded(), output.n_units, output.activation);
    }

    void write(Size r, Size where) {
        Size n = network_.n_outputs;
        to_units(network_.out, answers_ + r * network_.output->padded(),
                 static_cast<IO*>(run_.outputs) + where * n, n);
    }

    const Network<T>& network_;
    const Run& run_;
    Size rows_, x_step_, h_step_, n_ = 0;
    Scratch scratch_;
    T *x_, *h_[2], *begun_, *memory_, *pooled_, *scores_, *answers_;
    int64_t *row_, *length_, *alive_;
};

// Weights that are read anew for every group should find more rows there.
template <class T>
Size rows_at_once(const Network<T>& network, Size steps) {
    Size units = network.layers[0].padded(), inputs = units + network.layers[0].n_x;
    Size rows = units * inputs * 4 * Size(sizeof(T)) < (1 << 18) ? 24 : 192;
    Size room = (1L << 25) / (steps * (network.n_channels + 2 * network.width()) * Size(sizeof(T)));
    return larger(1, smaller(rows, room));
}

template <class T, class IO>
int run_network(const Network<T>& network, const Run& run) {
    Size longest = run.first < run.last ? run.steps_of(run.row(run.first)) : 0;
    if (longest <= 0) return 0;
    Size steps = network.n_directions > 1 ? longest : smaller(longest, kSteps);
    Size rows = smaller(rows_at_once(network, steps), run.last - run.first);
    Group<T, IO> group(network, run, rows, steps);
    if (!group.has_memory()) return 1;
    for (Size first = run.first; first < run.last; first += rows)
        group.run(first, smaller(rows, run.last - first), steps);
    return 0;
}

}  // namespace
