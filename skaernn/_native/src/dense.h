// Rows through a stack of dense layers.

#pragma once

#include "memory.h"
#include "units.h"

namespace {

// Layers one behind the other; what the last one reads beside the hidden layer is x.
template <class T>
struct Stack {
    int64_t n_inputs, n_layers, n_outputs;  // the first outputs are wanted, which may not be all
    const Layer<T>* layers;
    Units in, out;
};

constexpr Size kRows = 48;  // at a time

template <class T, class IO>
int run_stack(const Stack<T>& stack, const char* from, Size from_stride, IO* to, Size n) {
    Size widest = 0;
    for (Size i = 0; i < stack.n_layers; i++) widest = larger(widest, stack.layers[i].padded());
    Size rows = smaller(kRows, n);
    Scratch scratch(Scratch::size<T>(rows * stack.n_inputs) +
                    2 * Scratch::size<T>(rows * widest));
    if (!scratch) return 1;
    T* x = scratch.template take<T>(rows * stack.n_inputs);
    T* hidden[] = {scratch.template take<T>(rows * widest), scratch.template take<T>(rows * widest)};
    for (Size first = 0; first < n; first += rows) {
        Size m = smaller(rows, n - first);
        for (Size r = 0; r < m; r++)
            to_scaled(stack.in,
                      reinterpret_cast<const IO*>(from + (first + r) * from_stride),
                      x + r * stack.n_inputs, stack.n_inputs, false);
        const T* in = x;
        Size stride = stack.n_inputs;
        for (Size i = 0; i < stack.n_layers; i++) {
            const Layer<T>& layer = stack.layers[i];
            T* out = hidden[i % 2];
            Rows<T> run{in, stride, x, stack.n_inputs, out, layer.padded(), out, 0};
            run_layer(layer, run, m);
            in = out, stride = layer.padded();
        }
        for (Size r = 0; r < m; r++)
            to_units(stack.out, in + r * stride, to + (first + r) * stack.n_outputs,
                     stack.n_outputs);
    }
    return 0;
}

}  // namespace
