// What Python calls, through ctypes. A result other than 0: there was not enough memory.

#include "dense.h"
#include "passes.h"
#include "recurrent.h"
#include "training.h"

#if defined(_WIN32)
#define EXPORT extern "C" __attribute__((dllexport))
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

// Raised whenever a structure or an argument changes; the Python side has the same number.
EXPORT int skaernn_abi(void) { return 6; }

EXPORT const char* skaernn_instruction_set(void) { return SKAERNN_NAME; }

EXPORT int skaernn_vector_bytes(void) { return SKAERNN_BYTES; }

// By the type of the network, and that of the numbers that go in and out.
#define RUN(T, t, IO, io)                                                                       \
    EXPORT int skaernn_sequences_##t##_##io(const Network<T>* network, const Run* run) {        \
        return run_network<T, IO>(*network, *run);                                              \
    }                                                                                           \
    EXPORT int skaernn_rows_##t##_##io(const Stack<T>* stack, const char* from, int64_t stride, \
                                       IO* to, int64_t n) {                                     \
        return run_stack<T, IO>(*stack, from, stride, to, n);                                   \
    }
RUN(float, f32, float, f32)
RUN(float, f32, double, f64)
RUN(double, f64, float, f32)
RUN(double, f64, double, f64)

// Batches through a program.
#define STEPS(T, t)                                                                          \
    EXPORT void skaernn_steps_##t(const Operation* operations, int64_t n, Batches* batches) { \
        run_steps<T>(operations, n, *batches);                                               \
    }
STEPS(float, f32)
STEPS(double, f64)

// One recurrent layer, from its input to its states, and back from their gradient.
#define PASSES(T, t)                                                                         \
    EXPORT void skaernn_forward_##t(const Pass<T>* pass) {                                   \
        with_cell(*pass, [](const auto& passes) { passes.forward(); });                      \
    }                                                                                        \
    EXPORT void skaernn_backward_##t(const Pass<T>* pass) {                                  \
        with_cell(*pass, [](const auto& passes) { passes.backward(); });                     \
    }
PASSES(float, f32)
PASSES(double, f64)

// Functions of n numbers, a whole number of vectors, for the tests.
template <class T>
static void activate_all(int64_t activation, const T* from, T* to, int64_t n) {
    for (Size i = 0; i < n; i += kLanes<T>) store<T>(to + i, activated<T>(load(from + i), activation));
}
EXPORT void skaernn_activation_f32(int64_t activation, const float* from, float* to, int64_t n) {
    activate_all(activation, from, to, n);
}
EXPORT void skaernn_activation_f64(int64_t activation, const double* from, double* to,
                                   int64_t n) {
    activate_all(activation, from, to, n);
}

// Whether n pieces of memory hold the same bytes as n others.
EXPORT int skaernn_same(const void* const* one, const void* const* other, const int64_t* bytes,
                        int64_t n) {
    for (Size i = 0; i < n; i++)
        if (__builtin_memcmp(one[i], other[i], bytes[i])) return 0;
    return 1;
}
