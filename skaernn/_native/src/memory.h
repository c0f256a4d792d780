// Scratch memory of one call: taken at once, in pieces that begin at cache lines.

#pragma once

#include <cstdlib>

#include "simd.h"

namespace {

class Scratch {
   public:
    explicit Scratch(Size bytes) : base_(static_cast<char*>(std::calloc(bytes + 64, 1))) {
        next_ = base_ + (64 - reinterpret_cast<uintptr_t>(base_) % 64);
    }
    ~Scratch() { std::free(base_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    explicit operator bool() const { return base_ != nullptr; }

    template <class T>
    static Size size(Size n) {
        return (n * Size(sizeof(T)) + 63) / 64 * 64;
    }
    template <class T>
    T* take(Size n) {
        T* piece = reinterpret_cast<T*>(next_);
        next_ += size<T>(n);
        return piece;
    }

   private:
    char *base_, *next_;
};

}  // namespace
