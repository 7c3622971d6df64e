// The walk through time: one thread's share of the sequences of a ragged batch.
//
// The share is sorted, longest first, so that the sequences still running at step s are its first
// `running` ones. A step multiplies their states by W_hh panel by panel; each panel serves every
// group of ROWS sequences before the next one is read, and the cell's equations are applied to a
// tile's sums as soon as they are complete:
//
//                  panel 0        panel 1      …            (units 0–15, 16–31, …)
//     group 0   ┌ tile: sums → gates → h ┐
//     group 1   │          …             │                  a tile: ROWS sequences × one panel
//        ⋮      └                        ┘
#pragma once

#include "cells.h"

namespace seqcli {
namespace SEQCLI_ISA {

template <class Cell, class T>
struct Walk {
    static constexpr int FORWARD_COLUMNS = Cell::UNITS * Cell::GATES;
    static constexpr int BACKWARD_COLUMNS = 4;

    const Recurrent& call;
    const int32_t* share;
    const int64_t count;
    float* const totals;  // backward: sums of dgates over the share's tokens
    const int64_t H;

    Walk(const Recurrent& call, const int32_t* share, int64_t count, float* totals = nullptr)
        : call(call), share(share), count(count), totals(totals), H(call.hidden) {}

    int64_t length(int64_t b) const { return call.offsets[b + 1] - call.offsets[b]; }
    int64_t token(int64_t b, int64_t s) const {
        return call.reverse ? call.offsets[b + 1] - 1 - s : call.offsets[b] + s;
    }
    Place place(int64_t b, int64_t s, int64_t unit) const {
        const int64_t step = call.reverse ? -1 : 1, n = token(b, s);
        const int64_t next = s + 1 < length(b) ? n + step : -1;
        return {b, n, s, s > 0 ? n - step : -1, next, unit, lanes_from(unit, H)};
    }
    const T* panels(int64_t s) const {
        return static_cast<const T*>(call.odd_panels && s % 2 ? call.odd_panels : call.panels);
    }

    const T* inputs(int64_t token) const {
        return static_cast<const T*>(call.inputs) + token * Cell::GATES * H;
    }
    T* before(int64_t token) const { return static_cast<T*>(call.before) + token * H; }
    T* dgates(int64_t token) const {
        return static_cast<T*>(call.dgates) + token * Cell::GRADIENTS * H;
    }

    // ---- packing ----

    static int64_t blocks(int64_t hidden, bool backward) {
        const int64_t units = LANES * (backward ? BACKWARD_COLUMNS : Cell::UNITS);
        return (hidden + units - 1) / units;
    }
    static int64_t block_elements(int64_t hidden, bool backward) {
        return backward ? panel_elements(Cell::GATES * hidden, BACKWARD_COLUMNS)
                        : panel_elements(hidden, FORWARD_COLUMNS);
    }

    // W_hh for h = W_hh h', or for dh' = W_hh^T dgates.
    static void pack(int64_t H, bool backward, const float* w_hh, T* panels, int64_t block) {
        T* panel = panels + block * block_elements(H, backward);
        if (backward) {
            const int64_t unit0 = block * BACKWARD_COLUMNS * LANES;
            pack_columns<BACKWARD_COLUMNS>(w_hh, Cell::GATES * H, H, unit0, panel, [=](int64_t k) {
                return Cell::gate_of_column(k / H) * H + k % H;
            });
        } else {
            const int64_t unit0 = block * Cell::UNITS * LANES;
            pack_rows<Cell::GATES, Cell::UNITS>(w_hh, H, H, unit0, panel);
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
                for_groups(running, [&](int64_t first, int rows) {
                    forward_tile(share + first, rows, s, block, s > 0 || !zero);
                });
        }
    }

    // Give the first state to the first token, or to the last state of an empty sequence.
    // Returns whether it is zero.
    bool begin(int64_t b) {
        const bool empty = length(b) == 0;
        bool zero = true;
        for (int64_t unit = 0; unit < H; unit += LANES) {
            const int64_t at = b * H + unit;
            const int lanes = lanes_from(unit, H);
            const Vec h = load(call.h_first + at, lanes);
            if (!empty) store(before(token(b, 0)) + unit, h, lanes);
            if (empty) store(call.h_last + at, h, lanes);
            if (empty && call.c_first) store(call.c_last + at, load(call.c_first + at, lanes), lanes);
            for (int lane = 0; lane < LANES; ++lane) zero &= h[lane] == 0.f;
        }
        return zero;
    }

    void forward_tile(const int32_t* group, int rows, int64_t s, int64_t block, bool multiply) {
        const int64_t unit0 = block * Cell::UNITS * LANES;
        Place at[ROWS];
        const T* states[ROWS];
        for (int r = 0; r < rows; ++r) {
            at[r] = place(group[r], s, unit0);
            states[r] = before(at[r].token);
            for (int c = 0; c < FORWARD_COLUMNS; ++c)
                fetch(inputs(at[r].token) + c % Cell::GATES * H + unit0 + c / Cell::GATES * LANES);
            for (int u = 0; u < Cell::UNITS; ++u) {
                at[r].unit = unit0 + u * LANES;
                Cell::template fetch_new<T>(call, at[r]);
                fetch_to_write(call.y + at[r].token * call.y_stride + at[r].unit);
                if (at[r].next >= 0) fetch_to_write(before(at[r].next) + at[r].unit);
            }
        }

        Vec sum[ROWS * FORWARD_COLUMNS];
        if (multiply) {
            const T* panel = panels(s) + block * block_elements(H, false);
            product<FORWARD_COLUMNS>(rows, states, panel, H, sum);
        } else {
            for (int i = 0; i < rows * FORWARD_COLUMNS; ++i) sum[i] = Vec{};
        }

        for (int u = 0; u < Cell::UNITS && unit0 + u * LANES < H; ++u) {
            for (int r = 0; r < rows; ++r) {
                at[r].unit = unit0 + u * LANES;
                at[r].lanes = lanes_from(at[r].unit, H);
            }
            Vec h[ROWS];
            Cell::template forward<T>(call, at, rows, Sums{*this, at, sum + u * Cell::GATES}, h);
            for (int r = 0; r < rows; ++r) hand_on(at[r], h[r]);
        }
    }

    // The two halves of the sum inside gate g of row r.
    struct Sums {
        const Walk& walk;
        const Place* at;
        const Vec* sum;

        INLINE Vec input(int r, int g) const {
            const int64_t unit = g * walk.H + at[r].unit;
            return load(walk.inputs(at[r].token) + unit, at[r].lanes) +
                   load(walk.call.b_ih + unit, at[r].lanes);
        }
        INLINE Vec hidden(int r, int g) const {
            return sum[r * FORWARD_COLUMNS + g] +
                   load(walk.call.b_hh + g * walk.H + at[r].unit, at[r].lanes);
        }
    };

    // Give h to y and to the next token of the sequence, or to the caller after the last.
    INLINE void hand_on(const Place& at, Vec h) {
        const int64_t last = at.sequence * H + at.unit;
        store(call.y + at.token * call.y_stride + at.unit, h, at.lanes);
        if (at.next >= 0) {
            store(before(at.next) + at.unit, h, at.lanes);
            return;
        }
        store(call.h_last + last, h, at.lanes);
        if (call.c_last && call.keep)
            store(call.c_last + last, load(Lstm::cell_at(call, at, at.token), at.lanes), at.lanes);
    }

    // ---- backward ----

    void backward() {
        int64_t on = 0, all = 0;
        const int64_t last = call.dfirst ? -1 : 0;
        for (int64_t s = count > 0 ? length(share[0]) - 1 : -1; s >= last; --s) {
            // Sequences that go on after step s receive a gradient through W_hh; those that end
            // with it do not.
            on = all;
            while (s >= 0 && all < count && length(share[all]) > s) ++all;
            for (int64_t block = 0; block < blocks(H, true); ++block) {
                for_groups(on, [&](int64_t first, int rows) {
                    backward_tile(share + first, rows, s, block, true);
                });
                for_groups(all - on, [&](int64_t first, int rows) {
                    backward_tile(share + on + first, rows, s, block, false);
                });
            }
        }
    }

    // Step -1 is what is left for the first state.
    void backward_tile(const int32_t* group, int rows, int64_t s, int64_t block, bool multiply) {
        const int64_t unit0 = block * BACKWARD_COLUMNS * LANES;
        const int64_t columns = (H - unit0 + LANES - 1) / LANES;
        const int last = columns < BACKWARD_COLUMNS ? columns : BACKWARD_COLUMNS;
        Place at[ROWS];
        const T* after[ROWS];
        for (int r = 0; r < rows; ++r) {
            at[r] = place(group[r], s, unit0);
            if (multiply) after[r] = dgates(at[r].next);
            for (int c = 0; c < last && s >= 0; ++c) {
                at[r].unit = unit0 + c * LANES;
                Cell::template fetch_kept<T>(call, at[r]);
                if (call.dy) fetch(call.dy + at[r].token * call.dy_stride + at[r].unit);
            }
        }

        Vec sum[ROWS * BACKWARD_COLUMNS];
        if (multiply) {
            const T* panel = panels(s + 1) + block * block_elements(H, true);
            product<BACKWARD_COLUMNS>(rows, after, panel, Cell::GATES * H, sum);
        } else {
            for (int i = 0; i < rows * BACKWARD_COLUMNS; ++i) sum[i] = Vec{};
        }

        for (int c = 0; c < last; ++c) {
            const int64_t unit = unit0 + c * LANES;
            const int lanes = lanes_from(unit, H);
            Vec total[Cell::GRADIENTS] = {};
            for (int r = 0; r < rows; ++r) {
                at[r].unit = unit;
                at[r].lanes = lanes;
                float* carried = call.dh + at[r].sequence * H + unit;
                Vec dh = sum[r * BACKWARD_COLUMNS + c];
                if (!multiply || Cell::CARRIES) dh = dh + load(carried, lanes);
                if (s < 0) {
                    store(carried, dh, lanes);
                    continue;
                }
                const int64_t n = at[r].token;
                if (call.dy) dh = dh + load(call.dy + n * call.dy_stride + unit, lanes);
                Vec d[Cell::GRADIENTS];
                const Vec around = Cell::template backward<T>(call, at[r], dh, d);
                if (Cell::CARRIES) store(carried, around, lanes);
                UNROLL for (int g = 0; g < Cell::GRADIENTS; ++g) {
                    store(dgates(n) + g * H + unit, d[g], lanes);
                    total[g] = total[g] + d[g];
                }
            }
            UNROLL for (int g = 0; g < Cell::GRADIENTS; ++g)
                add_to(totals + g * H + unit, total[g], lanes);
        }
    }
};

}  // namespace SEQCLI_ISA
}  // namespace seqcli
