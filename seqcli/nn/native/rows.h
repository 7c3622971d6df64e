// Tables of vectors, of which a batch reads a few rows.
//
//     table        ┌────────┐        entries (place, weight) of two sums
//     row 0        │        │        (1, w)          (0, u) (1, v)
//     row 1        │        │
//       ⋮          └────────┘        y   w · row 1   u · row 0 + v · row 1
//
// The way back gives each thread some units of all rows, so that the entries of a row add up in
// their own order whatever the number of threads.
#pragma once

#include "training.h"
#include "vec.h"

namespace seqcli {
namespace SEQCLI_ISA {

// run(row, weight, b) for the entries of the sums b in [first, last).
template <class Run>
INLINE void each_entry(const Lookup& call, int64_t first, int64_t last, Run run) {
    for (int64_t b = first; b < last; ++b) {
        const int64_t begin = call.offsets ? call.offsets[b] : b;
        const int64_t end = call.offsets ? call.offsets[b + 1] : b + 1;
        for (int64_t m = begin; m < end; ++m) {
            const int64_t place = call.places[m];
            const int64_t row = call.seen ? -1 - call.seen[place] : place;
            run(call.table + row * call.width, call.weights ? call.weights[m] : 1.f, b);
        }
    }
}

static void look_up(const Lookup& call, int64_t first, int64_t last) {
    const int64_t E = call.width;
    memset(call.y + first * E, 0, sizeof(float) * (last - first) * E);
    each_entry(call, first, last, [&](const float* row, float weight, int64_t b) INLINE_LAMBDA {
        for (int64_t unit = 0; unit < E; unit += LANES) {
            const int lanes = lanes_from(unit, E);
            float* const y = call.y + b * E + unit;
            store(y, fma(load(row + unit, lanes), broadcast(weight), load(y, lanes)), lanes);
        }
    });
}

static void add_up(const Lookup& call, int64_t first, int64_t last) {
    each_entry(call, 0, call.batch, [&](float* row, float weight, int64_t b) INLINE_LAMBDA {
        for (int64_t unit = first; unit < last; unit += LANES) {
            const int lanes = lanes_from(unit, last);
            const Vec dy = load(call.y + b * call.width + unit, lanes);
            store(row + unit, fma(dy, broadcast(weight), load(row + unit, lanes)), lanes);
        }
    });
}

static void catch_up(const Rows& call, const Late* late, int64_t first, int64_t last) {
    for (int64_t at = first; at < last; ++at) {
        const Late& one = late[at];
        const int64_t end = (one.row + 1) * call.width;
        for (int64_t i = one.row * call.width; i < end; i += LANES) {
            const int lanes = lanes_from(i, end);
            const Vec mean = load(call.mean + i, lanes), square = load(call.square + i, lanes);
            const Vec step = mean / (sqrt(square) + one.epsilon);
            const Vec weight = load(call.table + i, lanes) * one.kept;
            store(call.table + i, fma(step, broadcast(-one.moved), weight), lanes);
            store(call.mean + i, mean * one.mean, lanes);
            store(call.square + i, square * one.square, lanes);
        }
    }
}

static void update(const Rows& call, int64_t first, int64_t last) {
    const auto kept = static_cast<float>(call.kept), rate = static_cast<float>(call.rate);
    const auto first_kept = static_cast<float>(call.first);
    const auto first_new = static_cast<float>(1 - call.first);
    const auto second_kept = static_cast<float>(call.second);
    const auto second_new = static_cast<float>(1 - call.second);
    const auto root = static_cast<float>(1 / call.root), epsilon = static_cast<float>(call.epsilon);
    for (int64_t slot = first; slot < last; ++slot) {
        const int64_t begin = call.slots[slot] * call.width;
        for (int64_t unit = 0; unit < call.width; unit += LANES) {
            const int lanes = lanes_from(unit, call.width);
            const int64_t i = begin + unit;
            const Vec g = load(call.gradient + slot * call.width + unit, lanes);
            const Vec mean = load(call.mean + i, lanes) * first_kept + g * first_new;
            const Vec square = load(call.square + i, lanes) * second_kept + g * g * second_new;
            const Vec step = mean * rate / (sqrt(square) * root + epsilon);
            store(call.table + i, load(call.table + i, lanes) * kept - step, lanes);
            store(call.mean + i, mean, lanes);
            store(call.square + i, square, lanes);
        }
    }
}

}  // namespace SEQCLI_ISA
}  // namespace seqcli
