// The cells without a product of matrices along time: a sequential scan, at the speed of memory.
//
//     mingru    z = σ(a_z);                h = (1 - z) h' + z g(a_h)
//     minlstm   f, i = σ(a_f), σ(a_i);     h = f / (f + i) h' + i / (f + i) g(a_h)
//     g(v) = v + 1/2 for v ≥ 0, σ(v) below
//
//     sru       f = σ(a_f + v_f c');       c = f c' + (1 - f) u
//               r = σ(a_r + v_r c');       y = r c + (1 - r) α x
//
// (Feng et al. 2024, "Were RNNs All We Needed?"; Lei et al. 2018, "Simple Recurrent Units for Highly
// Parallelizable Recurrence".)
//
// A share is strips: a sequence and some of its units. A token's equations take less time than its
// memory does to come, so each token asks for that of the next.
// Columns of `inputs` and its gradients: a_z a_h, or a_f a_i a_h, or u a_f a_r and perhaps x.
#pragma once

#include "recurrent.h"
#include "sru.h"

namespace seqcli {
namespace SEQCLI_ISA {

// Some units of one sequence, vector by vector and step by step.
struct Strip {
    static constexpr int VECTORS = MOST_SCAN_UNITS / LANES;
    const int64_t b, length;
    const int64_t first, end;   // units
    const int64_t start, step;  // the token of step 0, and from each step to the next

    template <class Call>
    Strip(const Call& call, int64_t b, int64_t first, int64_t units)
        : b(b),
          length(call.offsets[b + 1] - call.offsets[b]),
          first(first),
          end(first + units < call.hidden ? first + units : call.hidden),
          start(call.reverse ? call.offsets[b + 1] - 1 : call.offsets[b]),
          step(call.reverse ? -1 : 1) {}

    int64_t token(int64_t s) const { return start + s * step; }

    // run(i, unit, lanes) for vector i of the units, which begins at `unit`.
    template <class Run>
    INLINE void each(Run run) const {
        for (int i = 0; i < VECTORS; ++i) {
            const int64_t unit = first + i * LANES;
            if (unit >= end) break;
            run(i, unit, lanes_from(unit, end));
        }
    }
};

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
    const Recurrent& call;
    float* const totals;  // backward: sums of dgates over the share's tokens
    const int64_t H;

    explicit Scan(const Recurrent& call, float* totals = nullptr)
        : call(call), totals(totals), H(call.hidden) {}

    T* dgates(int64_t token) const {
        return static_cast<T*>(call.dgates) + token * Cell::GATES * H;
    }
    INLINE void fetch_gates(int64_t token, int64_t unit) const {
        const T* inputs = static_cast<const T*>(call.inputs) + token * Cell::GATES * H + unit;
        UNROLL for (int g = 0; g < Cell::GATES; ++g) fetch(inputs + g * H);
    }
    INLINE void load_gates(int64_t token, int64_t unit, int lanes, Vec* a) const {
        const T* inputs = static_cast<const T*>(call.inputs) + token * Cell::GATES * H + unit;
        UNROLL for (int g = 0; g < Cell::GATES; ++g)
            a[g] = load(inputs + g * H, lanes) + load(call.b_ih + g * H + unit, lanes);
    }

    void forward(const Strip& strip) {
        Vec h[Strip::VECTORS];
        strip.each([&](int i, int64_t unit, int lanes) INLINE_LAMBDA {
            h[i] = load(call.h_first + strip.b * H + unit, lanes);
        });
        for (int64_t s = 0; s < strip.length; ++s) {
            const int64_t n = strip.token(s);
            strip.each([&](int i, int64_t unit, int lanes) INLINE_LAMBDA {
                Vec a[Cell::GATES];
                load_gates(n, unit, lanes, a);
                fetch_gates(strip.token(s + 1), unit);
                h[i] = Cell::forward(a, h[i]);
                store(call.y + n * call.y_stride + unit, h[i], lanes);
            });
        }
        strip.each([&](int i, int64_t unit, int lanes) INLINE_LAMBDA {
            store(call.h_last + strip.b * H + unit, h[i], lanes);
        });
    }

    void backward(const Strip& strip) {
        Vec dh[Strip::VECTORS], total[Strip::VECTORS][Cell::GATES] = {};
        strip.each([&](int i, int64_t unit, int lanes) INLINE_LAMBDA {
            dh[i] = load(call.dh + strip.b * H + unit, lanes);
        });
        for (int64_t s = strip.length - 1; s >= 0; --s) {
            const int64_t n = strip.token(s), earlier = strip.token(s - 1);
            strip.each([&](int i, int64_t unit, int lanes) INLINE_LAMBDA {
                Vec a[Cell::GATES], da[Cell::GATES];
                load_gates(n, unit, lanes, a);
                fetch_gates(earlier, unit);
                const float* before = s > 0 ? call.y + earlier * call.y_stride + unit
                                            : call.h_first + strip.b * H + unit;
                fetch(call.y + (earlier - strip.step) * call.y_stride + unit);
                if (call.dy) {
                    dh[i] = dh[i] + load(call.dy + n * call.dy_stride + unit, lanes);
                    fetch(call.dy + earlier * call.dy_stride + unit);
                }
                dh[i] = Cell::backward(a, load(before, lanes), dh[i], da);
                UNROLL for (int g = 0; g < Cell::GATES; ++g) {
                    store(dgates(n) + g * H + unit, da[g], lanes);
                    total[i][g] = total[i][g] + da[g];
                }
            });
        }
        strip.each([&](int i, int64_t unit, int lanes) INLINE_LAMBDA {
            store(call.dh + strip.b * H + unit, dh[i], lanes);
            for (int g = 0; g < Cell::GATES; ++g) add_to(totals + g * H + unit, total[i][g], lanes);
        });
    }
};

template <class T>
struct SruScan {
    const Sru& call;
    float* const totals;  // backward: sums over the share's tokens, as call.sums
    const int64_t H;

    explicit SruScan(const Sru& call, float* totals = nullptr)
        : call(call), totals(totals), H(call.hidden) {}

    struct Token {
        Vec u, f, r, x;
    };

    int64_t place(int64_t token, int64_t column, int64_t unit) const {
        return (token * call.products + column) * H + unit;
    }
    // The memory before step s.
    const float* before(const Strip& strip, int64_t s, int64_t unit) const {
        return s > 0 ? call.c + strip.token(s - 1) * H + unit : call.c_first + strip.b * H + unit;
    }
    INLINE Vec gate(int64_t token, int number, int64_t unit, int lanes, Vec c) const {
        const int64_t at = number * H + unit;
        const Vec input = load(static_cast<const T*>(call.inputs) + place(token, 1 + number, unit),
                               lanes);
        return sigmoid(fma(load(call.v + at, lanes), c, input + load(call.bias + at, lanes)));
    }
    INLINE void fetch_inputs(int64_t n, int64_t unit) const {
        const T* inputs = static_cast<const T*>(call.inputs);
        for (int64_t k = 0; k < call.products; ++k) fetch(inputs + place(n, k, unit));
        if (call.products == 3) fetch(call.x + n * H + unit);
    }
    // Both gates, from the memory before, and what depends on the input alone.
    INLINE Token load_token(int64_t n, int64_t unit, int lanes, Vec c) const {
        const T* inputs = static_cast<const T*>(call.inputs);
        const Vec x = call.products == 3 ? load(call.x + n * H + unit, lanes)
                                         : load(inputs + place(n, 3, unit), lanes);
        return {load(inputs + place(n, 0, unit), lanes), gate(n, 0, unit, lanes, c),
                gate(n, 1, unit, lanes, c), x * static_cast<float>(call.scale)};
    }

    void forward(const Strip& strip) {
        Vec c[Strip::VECTORS];
        strip.each([&](int i, int64_t unit, int lanes) INLINE_LAMBDA {
            c[i] = load(call.c_first + strip.b * H + unit, lanes);
        });
        for (int64_t s = 0; s < strip.length; ++s) {
            const int64_t n = strip.token(s);
            strip.each([&](int i, int64_t unit, int lanes) INLINE_LAMBDA {
                const Token t = load_token(n, unit, lanes, c[i]);
                fetch_inputs(strip.token(s + 1), unit);
                c[i] = fma(t.f, c[i] - t.u, t.u);
                store(call.y + n * H + unit, fma(t.r, c[i] - t.x, t.x), lanes);
                if (call.c) store(call.c + n * H + unit, c[i], lanes);
            });
        }
        strip.each([&](int i, int64_t unit, int lanes) INLINE_LAMBDA {
            store(call.c_last + strip.b * H + unit, c[i], lanes);
        });
    }

    void backward(const Strip& strip) {
        const auto scale = static_cast<float>(call.scale);
        T* const dinputs = static_cast<T*>(call.dinputs);
        Vec dc[Strip::VECTORS], total[Strip::VECTORS][4] = {};
        strip.each([&](int i, int64_t unit, int lanes) INLINE_LAMBDA {
            dc[i] = load(call.dc + strip.b * H + unit, lanes);
        });
        for (int64_t s = strip.length - 1; s >= 0; --s) {
            const int64_t n = strip.token(s), earlier = strip.token(s - 1);
            strip.each([&](int i, int64_t unit, int lanes) INLINE_LAMBDA {
                const Vec c_before = load(before(strip, s, unit), lanes);
                const Token t = load_token(n, unit, lanes, c_before);
                fetch_inputs(earlier, unit);
                fetch(call.c + (earlier - strip.step) * H + unit);
                Vec dy{};
                if (call.dy) {
                    dy = load(call.dy + n * call.dy_stride + unit, lanes);
                    fetch(call.dy + earlier * call.dy_stride + unit);
                }
                const Vec c = load(call.c + n * H + unit, lanes);
                const Vec dr = dy * (c - t.x) * (t.r * (1.f - t.r));
                const Vec dx = (dy - dy * t.r) * scale;
                const Vec d = fma(dy, t.r, dc[i]);  // of c
                const Vec df = d * (c_before - t.u) * (t.f * (1.f - t.f));
                dc[i] = fma(d, t.f, fma(df, load(call.v + unit, lanes),
                                        dr * load(call.v + H + unit, lanes)));
                store(dinputs + place(n, 0, unit), d - d * t.f, lanes);
                store(dinputs + place(n, 1, unit), df, lanes);
                store(dinputs + place(n, 2, unit), dr, lanes);
                if (call.products == 3) store(call.dx + n * H + unit, dx, lanes);
                else store(dinputs + place(n, 3, unit), dx, lanes);
                total[i][0] = total[i][0] + df;
                total[i][1] = total[i][1] + dr;
                total[i][2] = fma(df, c_before, total[i][2]);
                total[i][3] = fma(dr, c_before, total[i][3]);
            });
        }
        strip.each([&](int i, int64_t unit, int lanes) INLINE_LAMBDA {
            store(call.dc + strip.b * H + unit, dc[i], lanes);
            for (int k = 0; k < 4; ++k) add_to(totals + k * H + unit, total[i][k], lanes);
        });
    }
};

}  // namespace SEQCLI_ISA
}  // namespace seqcli
