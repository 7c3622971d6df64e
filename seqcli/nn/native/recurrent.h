// The walk through time: one thread's share of the sequences of a ragged batch.
//
// The share is sorted, longest first, so that the sequences still running at step s are its first
// `running` ones. A step multiplies their states by W_hh panel by panel; each panel serves every
// group of ROWS sequences before the next one is read, and the cell's equations are applied to the
// sums while they are in registers:
//
//                  panel 0        panel 1      …            (units 0–15, 16–31, …)
//     group 0   ┌ tile: sums → gates → h ┐
//     group 1   │          …             │                  a tile: ROWS sequences × one panel
//        ⋮      └                        ┘
#pragma once

#include "cells.h"

namespace seqcli {
namespace SEQCLI_ISA {

INLINE int lanes_from(int64_t unit, int64_t hidden) {
    return hidden - unit < LANES ? static_cast<int>(hidden - unit) : LANES;
}

template <class Cell, class T>
struct Walk {
    static constexpr int FORWARD_COLUMNS = Cell::UNITS * Cell::GATES;
    static constexpr int BACKWARD_COLUMNS = 4;

    const Recurrent& call;
    const int32_t* share;
    const int64_t count;
    const int64_t H;

    Walk(const Recurrent& call, const int32_t* share, int64_t count)
        : call(call), share(share), count(count), H(call.hidden) {}

    int64_t length(int64_t b) const { return call.offsets[b + 1] - call.offsets[b]; }
    int64_t token(int64_t b, int64_t s) const {
        return call.reverse ? call.offsets[b + 1] - 1 - s : call.offsets[b] + s;
    }

    T* before(int64_t token) const {
        return static_cast<T*>(call.before) + token * operand_stride(H, sizeof(T) == 2);
    }
    T* dgates(int64_t token) const {
        constexpr bool bf16 = sizeof(T) == 2;
        return static_cast<T*>(call.dgates) + token * operand_stride(Cell::GRADIENTS * H, bf16);
    }

    // ---- packing ----

    static int64_t blocks(int64_t hidden, bool backward) {
        const int64_t units = LANES * (backward ? BACKWARD_COLUMNS : Cell::UNITS);
        return (hidden + units - 1) / units;
    }
    static int64_t depth(int64_t hidden, bool backward) {
        return backward ? Cell::HIDDEN * hidden : hidden;
    }
    static int64_t block_elements(int64_t hidden, bool backward) {
        const int columns = backward ? BACKWARD_COLUMNS : FORWARD_COLUMNS;
        return (depth(hidden, backward) + 1) / 2 * 2 * columns * LANES;
    }

    static void pack(int64_t hidden, bool backward, const float* w_hh, T* panels, int64_t first,
                     int64_t last) {
        const int64_t H = hidden;
        for (int64_t block = first; block < last; ++block) {
            T* panel = panels + block * block_elements(H, backward);
            if (backward) {
                pack_panel(panel, depth(H, true), BACKWARD_COLUMNS, [=](int64_t k, int c, int lane) {
                    const int64_t unit = (block * BACKWARD_COLUMNS + c) * LANES + lane;
                    const int64_t gate = Cell::gate_of_hidden(static_cast<int>(k / H));
                    return unit < H ? w_hh[(gate * H + k % H) * H + unit] : 0.f;
                });
            } else {
                pack_panel(panel, H, FORWARD_COLUMNS, [=](int64_t k, int c, int lane) {
                    const int64_t unit = (block * Cell::UNITS + c / Cell::GATES) * LANES + lane;
                    return unit < H ? w_hh[(c % Cell::GATES * H + unit) * H + k] : 0.f;
                });
            }
        }
    }

    // ---- forward ----

    void forward() {
        bool zero = true;  // every first state is zero: step 0 needs no product
        for (int64_t i = 0; i < count; ++i) zero &= begin(share[i]);
        int64_t running = count;
        for (int64_t s = 0;; ++s) {
            while (running > 0 && length(share[running - 1]) <= s) --running;
            if (running == 0) return;
            for (int64_t block = 0; block < blocks(H, false); ++block)
                for_groups(static_cast<int>(running), [&](auto rows, int first) {
                    forward_tile(rows, share + first, s, block, s > 0 || !zero);
                });
        }
    }

    // Give the first state to the first token, or to the last state of an empty sequence.
    bool begin(int64_t b) {
        const bool empty = length(b) == 0;
        bool zero = true;
        for (int64_t j = 0; j < H; j += LANES) {
            const int lanes = lanes_from(j, H);
            const Vec h = load(call.h_first + b * H + j, lanes);
            if (empty) store(call.h_last + b * H + j, h, lanes);
            else store(before(token(b, 0)) + j, h, lanes);
            if (empty && call.c_first)
                store(call.c_last + b * H + j, load(call.c_first + b * H + j, lanes), lanes);
            for (int lane = 0; lane < LANES; ++lane) zero &= h[lane] == 0.f;
        }
        return zero;
    }

    template <int R>
    NOINLINE void forward_tile(Rows<R>, const int32_t* sequences, int64_t s, int64_t block,
                             bool multiply) {
        Place at[R];
        const T* rows[R];
        const T* inputs[R];
        for (int r = 0; r < R; ++r) {
            const int64_t b = sequences[r], n = token(b, s);
            at[r] = {b, n, s > 0 ? token(b, s - 1) : -1, 0, 0};
            rows[r] = before(n);
            inputs[r] = static_cast<const T*>(call.inputs) + n * Cell::GATES * H;
        }

        Vec sum[R][FORWARD_COLUMNS];
        const int64_t unit0 = block * Cell::UNITS * LANES;
        UNROLL for (int c = 0; c < FORWARD_COLUMNS; ++c) {
            const int64_t unit = unit0 + c / Cell::GATES * LANES;
            const int64_t gate = c % Cell::GATES * H;
            const int lanes = lanes_from(unit, H);
            if (lanes <= 0) {
                UNROLL for (int r = 0; r < R; ++r) sum[r][c] = Vec{};
                continue;
            }
            const Vec b_hh = load(call.b_hh + gate + unit, lanes);
            if (Cell::CARRIES && c == 2) {
                UNROLL for (int r = 0; r < R; ++r) sum[r][c] = b_hh;
                continue;
            }
            const Vec bias = load(call.b_ih + gate + unit, lanes) + b_hh;
            UNROLL for (int r = 0; r < R; ++r)
                sum[r][c] = load(inputs[r] + gate + unit, lanes) + bias;
        }
        if (multiply) {
            const int64_t size = block_elements(H, false);
            product(rows, static_cast<const T*>(call.panels) + block * size, H, sum);
        }

        for (int u = 0; u < Cell::UNITS; ++u) {
            const int64_t unit = unit0 + u * LANES;
            const int lanes = lanes_from(unit, H);
            if (lanes <= 0) break;
            UNROLL for (int r = 0; r < R; ++r) {
                at[r].unit = unit;
                at[r].lanes = lanes;
                const Vec h = Cell::forward(call, at[r], sum[r] + u * Cell::GATES,
                                            inputs[r] + 2 * H + unit);
                store(call.y + at[r].token * call.y_stride + unit, h, lanes);
                finish_step(at[r], s, h);
            }
        }
    }

    // Hand h to the next token of the sequence, or out of the batch.
    INLINE void finish_step(const Place& at, int64_t s, Vec h) {
        const int64_t b = at.sequence;
        if (s + 1 < length(b)) {
            store(before(token(b, s + 1)) + at.unit, h, at.lanes);
            return;
        }
        store(call.h_last + b * H + at.unit, h, at.lanes);
        if constexpr (Cell::GATES == 4) {
            if (call.keep)
                store(call.c_last + b * H + at.unit,
                      load(Lstm::cell_at(call, at, at.token), at.lanes), at.lanes);
        }
    }

    // ---- backward ----

    void backward() {
        const int64_t longest = count > 0 ? length(share[0]) : 0;
        int64_t on = 0, all = 0;
        for (int64_t s = longest - 1; s >= -1; --s) {
            // Sequences that go on after step s receive a gradient through W_hh; those that end
            // with it do not.
            on = all;
            while (s >= 0 && all < count && length(share[all]) > s) ++all;
            for (int64_t block = 0; block < blocks(H, true); ++block) {
                for_groups(static_cast<int>(on), [&](auto rows, int first) {
                    backward_tile(rows, share + first, s, block, true);
                });
                for_groups(static_cast<int>(all - on), [&](auto rows, int first) {
                    backward_tile(rows, share + on + first, s, block, false);
                });
            }
        }
    }

    template <int R>
    NOINLINE void backward_tile(Rows<R>, const int32_t* sequences, int64_t s, int64_t block,
                              bool multiply) {
        Vec sum[R][BACKWARD_COLUMNS];
        UNROLL for (int r = 0; r < R; ++r)
            UNROLL for (int c = 0; c < BACKWARD_COLUMNS; ++c) sum[r][c] = Vec{};
        if (multiply) {
            const T* rows[R];
            for (int r = 0; r < R; ++r) rows[r] = dgates(token(sequences[r], s + 1));
            const int64_t size = block_elements(H, true);
            product(rows, static_cast<const T*>(call.panels) + block * size, depth(H, true), sum);
        }

        UNROLL for (int c = 0; c < BACKWARD_COLUMNS; ++c) {
            const int64_t unit = (block * BACKWARD_COLUMNS + c) * LANES;
            const int lanes = lanes_from(unit, H);
            if (lanes <= 0) break;
            UNROLL for (int r = 0; r < R; ++r) {
                const int64_t b = sequences[r];
                float* carried = call.dh + b * H + unit;
                Vec dh = sum[r][c];
                if (!multiply || Cell::CARRIES) dh = dh + load(carried, lanes);
                if (s < 0) {  // what is left belongs to the first state
                    store(carried, dh, lanes);
                    continue;
                }
                const int64_t n = token(b, s);
                const Place at{b, n, s > 0 ? token(b, s - 1) : -1, unit, lanes};
                if (call.dy) dh = dh + load(call.dy + n * call.dy_stride + unit, lanes);
                const Vec around = Cell::backward(call, at, dh, dgates(n) + unit);
                if constexpr (Cell::CARRIES) store(carried, around, lanes);
            }
        }
    }
};

}  // namespace SEQCLI_ISA
}  // namespace seqcli
