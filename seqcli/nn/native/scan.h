// The cells whose gates depend on the input alone (Feng et al. 2024, "Were RNNs All We Needed?"):
// no product along time, so a sequential scan runs at the speed of memory.
//
//     mingru    z = σ(a_z);                h = (1 - z) h' + z g(a_h)
//     minlstm   f, i = σ(a_f), σ(a_i);     h = f / (f + i) h' + i / (f + i) g(a_h)
//     g(v) = v + 1/2 for v ≥ 0, σ(v) below
//
// A share is pairs of a sequence and SCAN_UNITS of its units, whose states stay in registers.
// Columns of `inputs` and `dgates`: a_z a_h, or a_f a_i a_h.
#pragma once

#include "recurrent.h"

namespace seqcli {
namespace SEQCLI_ISA {

INLINE Vec candidate(Vec v) { return v >= 0.f ? v + 0.5f : sigmoid(v); }

struct MinGru {
    static constexpr int GATES = 2;

    static INLINE Vec forward(const Vec* a, Vec h) {
        const Vec z = sigmoid(a[0]);
        return fma(z, candidate(a[1]) - h, h);
    }

    // Fills da, returns the gradient of the state before.
    static INLINE Vec backward(const Vec* a, Vec h_before, Vec dh, Vec* da) {
        const Vec z = sigmoid(a[0]), s = sigmoid(a[1]);
        const Vec g = a[1] >= 0.f ? a[1] + 0.5f : s;
        da[0] = dh * (g - h_before) * (z * (1.f - z));
        da[1] = dh * z * (a[1] >= 0.f ? broadcast(1.f) : s * (1.f - s));
        return dh - dh * z;
    }
};

struct MinLstm {
    static constexpr int GATES = 3;

    // With u = 1/f and v = 1/i: f / (f + i) = v / (u + v), safe when both gates vanish.
    static INLINE Vec forward(const Vec* a, Vec h) {
        const Vec u = 1.f + exp(-a[0]), v = 1.f + exp(-a[1]);
        const Vec take = u / (u + v);
        return fma(take, candidate(a[2]) - h, h);
    }

    static INLINE Vec backward(const Vec* a, Vec h_before, Vec dh, Vec* da) {
        const Vec u = 1.f + exp(-a[0]), v = 1.f + exp(-a[1]), s = sigmoid(a[2]);
        const Vec take = u / (u + v), keep = v / (u + v);
        const Vec g = a[2] >= 0.f ? a[2] + 0.5f : s;
        const Vec slope = dh * (g - h_before) * (take * keep);
        da[0] = slope * (1.f / u - 1.f);
        da[1] = slope * (1.f - 1.f / v);
        da[2] = dh * take * (a[2] >= 0.f ? broadcast(1.f) : s * (1.f - s));
        return dh * keep;
    }
};

template <class Cell, class T>
struct Scan {
    static constexpr int VECTORS = SCAN_UNITS / LANES;
    const Recurrent& call;
    float* const totals;  // backward: sums of dgates over the share's tokens
    const int64_t H;

    explicit Scan(const Recurrent& call, float* totals = nullptr)
        : call(call), totals(totals), H(call.hidden) {}

    T* dgates(int64_t token) const {
        return static_cast<T*>(call.dgates) + token * Cell::GATES * H;
    }
    INLINE void load_gates(int64_t token, int64_t unit, int lanes, Vec* a) const {
        const T* inputs = static_cast<const T*>(call.inputs) + token * Cell::GATES * H + unit;
        UNROLL for (int g = 0; g < Cell::GATES; ++g)
            a[g] = load(inputs + g * H, lanes) + load(call.b_ih + g * H + unit, lanes);
    }

    void forward(int64_t b, int64_t unit0) {
        const int64_t first = call.offsets[b], length = call.offsets[b + 1] - first;
        const int64_t step = call.reverse ? -1 : 1;
        int64_t n = call.reverse ? first + length - 1 : first;
        Vec h[VECTORS];
        for (int c = 0; c < VECTORS; ++c) {
            const int64_t unit = unit0 + c * LANES;
            if (unit < H) h[c] = load(call.h_first + b * H + unit, lanes_from(unit, H));
        }
        for (int64_t s = 0; s < length; ++s, n += step)
            for (int c = 0; c < VECTORS; ++c) {
                const int64_t unit = unit0 + c * LANES;
                if (unit >= H) break;
                const int lanes = lanes_from(unit, H);
                Vec a[Cell::GATES];
                load_gates(n, unit, lanes, a);
                h[c] = Cell::forward(a, h[c]);
                store(call.y + n * call.y_stride + unit, h[c], lanes);
            }
        for (int c = 0; c < VECTORS; ++c) {
            const int64_t unit = unit0 + c * LANES;
            if (unit < H) store(call.h_last + b * H + unit, h[c], lanes_from(unit, H));
        }
    }

    void backward(int64_t b, int64_t unit0) {
        const int64_t first = call.offsets[b], length = call.offsets[b + 1] - first;
        const int64_t step = call.reverse ? 1 : -1;
        int64_t n = call.reverse ? first : first + length - 1;
        Vec dh[VECTORS], total[VECTORS][Cell::GATES] = {};
        for (int c = 0; c < VECTORS; ++c) {
            const int64_t unit = unit0 + c * LANES;
            if (unit < H) dh[c] = load(call.dh + b * H + unit, lanes_from(unit, H));
        }
        for (int64_t s = length - 1; s >= 0; --s, n += step)
            for (int c = 0; c < VECTORS; ++c) {
                const int64_t unit = unit0 + c * LANES;
                if (unit >= H) break;
                const int lanes = lanes_from(unit, H);
                Vec a[Cell::GATES], da[Cell::GATES];
                load_gates(n, unit, lanes, a);
                const float* before = s > 0 ? call.y + (n + step) * call.y_stride + unit
                                            : call.h_first + b * H + unit;
                if (call.dy) dh[c] = dh[c] + load(call.dy + n * call.dy_stride + unit, lanes);
                dh[c] = Cell::backward(a, load(before, lanes), dh[c], da);
                UNROLL for (int g = 0; g < Cell::GATES; ++g) {
                    store(dgates(n) + g * H + unit, da[g], lanes);
                    total[c][g] = total[c][g] + da[g];
                }
            }
        for (int c = 0; c < VECTORS; ++c) {
            const int64_t unit = unit0 + c * LANES;
            if (unit >= H) break;
            const int lanes = lanes_from(unit, H);
            store(call.dh + b * H + unit, dh[c], lanes);
            for (int g = 0; g < Cell::GATES; ++g) add_to(totals + g * H + unit, total[c][g], lanes);
        }
    }
};

}  // namespace SEQCLI_ISA
}  // namespace seqcli
