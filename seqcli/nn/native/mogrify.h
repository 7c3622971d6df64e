// The walk of a Mogrifier LSTM through time (mogrifier.h): one thread's share of the sequences.
//
// Within a step every round needs all units of the one before, so that a product of all running
// sequences goes into `sums` first, and what is made of it follows:
//
//     step s    h ─Q─► σ ⊙ x    x ─R─► σ ⊙ h    …    W_ih x + W_hh h ─► gates ─► c, h
//
// and backwards in the opposite order, each gradient through the σ of its round to the other side.
#pragma once

#include "cells.h"
#include "linear.h"
#include "mogrifier.h"

namespace seqcli {
namespace SEQCLI_ISA {

template <class T>
struct Mogrify {
    using Gate = typename KeptType<T>::Gate;

    const Mogrifier& call;
    const int32_t* share;  // sequences, longest first
    const int64_t count;
    float* const totals;  // backward: sums of dgates over the share's tokens
    const int64_t I, H;

    Mogrify(const Mogrifier& call, const int32_t* share, int64_t count, float* totals = nullptr)
        : call(call), share(share), count(count), totals(totals), I(call.inputs), H(call.hidden) {}

    int64_t length(int64_t b) const { return call.offsets[b + 1] - call.offsets[b]; }
    int64_t token(int64_t i, int64_t s) const {
        const int64_t b = share[i];
        return call.reverse ? call.offsets[b + 1] - 1 - s : call.offsets[b] + s;
    }
    float* sums(int64_t i) const { return call.sums + share[i] * call.stride; }

    // Of the input (side 0) or the state (side 1): how wide it is, a token's vector in a layer, the
    // σ that led to the layer after that, and the gradient of what is inside it.
    int64_t width(int64_t side) const { return side ? H : I; }
    T* scaled(int64_t side, int64_t layer, int64_t n) const {
        return static_cast<T*>(side ? call.hs : call.xs) + (layer * call.rows + n) * width(side);
    }
    Gate* shares(int64_t side, int64_t layer, int64_t n) const {
        return static_cast<Gate*>(side ? call.h_shares : call.x_shares) +
               (layer * call.tokens + n) * width(side);
    }
    T* dsums(int64_t side, int64_t layer, int64_t n) const {
        return static_cast<T*>(side ? call.dh_sums : call.dx_sums) +
               (layer * call.rows + n) * width(side);
    }
    Gate* gates(int64_t n) const { return static_cast<Gate*>(call.gates) + n * 4 * H; }
    T* dgates(int64_t n) const { return static_cast<T*>(call.dgates) + n * 4 * H; }

    // to(i) = from(i) · panels for the first `running` sequences, added to what is there or not.
    template <class From, class To>
    INLINE void multiply(int64_t running, From from, const void* panels, int64_t depth,
                         int64_t width, To to, bool add) const {
        const int64_t size = panel_elements(depth, LINEAR_COLUMNS);
        for (int64_t unit = 0; unit < width; unit += LINEAR_UNITS) {
            const T* panel = static_cast<const T*>(panels) + unit / LINEAR_UNITS * size;
            for_groups(running, [&](int64_t first, int rows) INLINE_LAMBDA {
                const T* vectors[ROWS];
                for (int r = 0; r < rows; ++r) vectors[r] = from(first + r);
                Vec sum[ROWS * LINEAR_COLUMNS];
                product<LINEAR_COLUMNS>(rows, vectors, panel, depth, sum);
                for (int r = 0; r < rows; ++r)
                    for (int c = 0; c < LINEAR_COLUMNS; ++c) {
                        float* p = to(first + r) + unit + c * LANES;
                        const Vec found = sum[r * LINEAR_COLUMNS + c];
                        store(p, add ? load(p) + found : found);
                    }
            });
        }
    }

    // ---- forward ----

    void forward() const {
        for (int64_t i = 0; i < count; ++i) begin(i);
        int64_t running = count;
        for (int64_t s = 0;; ++s) {
            while (running > 0 && length(share[running - 1]) <= s) --running;
            if (running == 0) return;
            for (int64_t round = 0; round < call.rounds; ++round) scale(running, s, round);
            const int64_t last[] = {mogrified(call.rounds, 0), mogrified(call.rounds, 1)};
            const auto to = [&](int64_t i) { return sums(i); };
            multiply(running, [&](int64_t i) { return scaled(0, last[0], token(i, s)); },
                     call.w_ih, I, 4 * H, to, false);
            multiply(running, [&](int64_t i) { return scaled(1, last[1], token(i, s)); },
                     call.w_hh, H, 4 * H, to, true);
            for (int64_t i = 0; i < running; ++i) settle(i, s);
        }
    }

    // Give the first state to the first token, or to the last state of an empty sequence.
    void begin(int64_t i) const {
        const int64_t b = share[i];
        for (int64_t unit = 0; unit < H; unit += LANES) {
            const int lanes = lanes_from(unit, H);
            const Vec h = load(call.h_first + b * H + unit, lanes);
            if (length(b) > 0) {
                store(scaled(1, 0, token(i, 0)) + unit, h, lanes);
                continue;
            }
            store(call.h_last + b * H + unit, h, lanes);
            store(call.c_last + b * H + unit, load(call.c_first + b * H + unit, lanes), lanes);
        }
    }

    void scale(int64_t running, int64_t s, int64_t round) const {
        const int64_t side = round % 2, other = 1 - side;
        const int64_t from = mogrified(round, side), by = mogrified(round, other);
        multiply(running, [&](int64_t i) { return scaled(other, by, token(i, s)); },
                 call.scales[round], width(other), width(side),
                 [&](int64_t i) { return sums(i); }, false);
        for (int64_t i = 0; i < running; ++i) {
            const int64_t n = token(i, s);
            const T* x = scaled(side, from, n);
            T* to = scaled(side, from + 1, n);
            for (int64_t unit = 0; unit < width(side); unit += LANES) {
                const int lanes = lanes_from(unit, width(side));
                const Vec part = sigmoid(load(sums(i) + unit));
                if (call.keep) store(shares(side, from, n) + unit, part, lanes);
                store(to + unit, 2.f * part * load(x + unit, lanes), lanes);
            }
        }
    }

    const float* cell_before(int64_t i, int64_t s) const {
        return s > 0 ? call.c + token(i, s - 1) * H : call.c_first + share[i] * H;
    }

    // The gates of a sequence at step s, and what they make of its memory.
    void settle(int64_t i, int64_t s) const {
        const int64_t n = token(i, s), b = share[i];
        const bool ends = s + 1 == length(b);
        T* next = ends ? nullptr : scaled(1, 0, token(i, s + 1));
        const float *sum = sums(i), *before = cell_before(i, s);
        for (int64_t unit = 0; unit < H; unit += LANES) {
            const int lanes = lanes_from(unit, H);
            const auto inside = [&](int64_t gate) INLINE_LAMBDA {
                const int64_t at = gate * H + unit;
                return load(sum + at, lanes) + load(call.bias + at, lanes);
            };
            const Vec in = sigmoid(inside(0)), f = sigmoid(inside(1));
            const Vec g = tanh(inside(2)), o = sigmoid(inside(3));
            const Vec c = fma(f, load(before + unit, lanes), in * g);
            const Vec h = o * tanh(c);
            store(call.c + n * H + unit, c, lanes);
            store(call.y + n * H + unit, h, lanes);
            if (next) store(next + unit, h, lanes);
            if (ends) {
                store(call.h_last + b * H + unit, h, lanes);
                store(call.c_last + b * H + unit, c, lanes);
            }
            if (!call.keep) continue;
            const Vec kept[] = {in, f, g, o};
            for (int gate = 0; gate < 4; ++gate)
                store(gates(n) + gate * H + unit, kept[gate], lanes);
        }
    }

    // ---- backward ----

    // The gradient of the input is gathered in `sums`, that of the state in dh.
    void backward() const {
        int64_t running = 0;
        for (int64_t s = count > 0 ? length(share[0]) - 1 : -1; s >= 0; --s) {
            while (running < count && length(share[running]) > s) ++running;
            for (int64_t i = 0; i < running; ++i) unsettle(i, s);
            const auto from = [&](int64_t i) { return dgates(token(i, s)); };
            multiply(running, from, call.w_ih, 4 * H, I, gathered(0), false);
            multiply(running, from, call.w_hh, 4 * H, H, gathered(1), false);
            for (int64_t round = call.rounds - 1; round >= 0; --round) unscale(running, s, round);
            for (int64_t i = 0; i < running; ++i) hand_back(i, s);
        }
    }

    // Where the gradient of each side of a sequence is gathered: both in `sums`, one behind the
    // other, with room for whole panels.
    auto gathered(int64_t side) const {
        const int64_t behind = side ? (I + LINEAR_UNITS - 1) / LINEAR_UNITS * LINEAR_UNITS : 0;
        return [this, behind](int64_t i) { return sums(i) + behind; };
    }

    void unsettle(int64_t i, int64_t s) const {
        const int64_t n = token(i, s), b = share[i];
        const float* before = cell_before(i, s);
        for (int64_t unit = 0; unit < H; unit += LANES) {
            const int lanes = lanes_from(unit, H);
            const Gate* kept = gates(n) + unit;
            const Vec in = load(kept, lanes), f = load(kept + H, lanes);
            const Vec g = load(kept + 2 * H, lanes), o = load(kept + 3 * H, lanes);
            const Vec tanh_c = tanh(load(call.c + n * H + unit, lanes));
            Vec dh = load(call.dh + b * H + unit, lanes);
            if (call.dy) dh = dh + load(call.dy + n * call.dy_stride + unit, lanes);
            float* carried = call.dc + b * H + unit;
            const Vec dc = fma(dh * o, 1.f - tanh_c * tanh_c, load(carried, lanes));
            store(carried, dc * f, lanes);
            const Vec d[] = {dc * g * (in * (1.f - in)),
                             dc * load(before + unit, lanes) * (f * (1.f - f)),
                             dc * in * (1.f - g * g), dh * tanh_c * (o * (1.f - o))};
            for (int gate = 0; gate < 4; ++gate) {
                store(dgates(n) + gate * H + unit, d[gate], lanes);
                add_to(totals + gate * H + unit, d[gate], lanes);
            }
        }
    }

    void unscale(int64_t running, int64_t s, int64_t round) const {
        const int64_t side = round % 2, other = 1 - side, from = mogrified(round, side);
        for (int64_t i = 0; i < running; ++i) {
            const int64_t n = token(i, s);
            float* d = gathered(side)(i);
            for (int64_t unit = 0; unit < width(side); unit += LANES) {
                const int lanes = lanes_from(unit, width(side));
                const Vec part = load(shares(side, from, n) + unit, lanes);
                const Vec twice = 2.f * part * load(d + unit);
                const Vec x = load(scaled(side, from, n) + unit, lanes);
                store(dsums(side, from, n) + unit, twice * x * (1.f - part), lanes);
                store(d + unit, twice);
            }
        }
        multiply(running, [&](int64_t i) { return dsums(side, from, token(i, s)); },
                 call.scales[round], width(side), width(other), gathered(other), true);
    }

    void hand_back(int64_t i, int64_t s) const {
        const float *dx = gathered(0)(i), *dh = gathered(1)(i);
        for (int64_t unit = 0; unit < I; unit += LANES)
            store(call.dx + token(i, s) * I + unit, load(dx + unit), lanes_from(unit, I));
        for (int64_t unit = 0; unit < H; unit += LANES)
            store(call.dh + share[i] * H + unit, load(dh + unit), lanes_from(unit, H));
    }
};

}  // namespace SEQCLI_ISA
}  // namespace seqcli
