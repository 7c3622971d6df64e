// The scores of a vocabulary, x W^T + b, for a few rows at a time, in memory that stays in a cache,
// and what is asked of a row of them.
//
//     panel       0        1                             `stride` floats a row; NEVER behind the
//     row 0   ┌ 4 vectors ┐┌ 4 vectors ┐ …               last score, so that whole vectors are read
//     row 1   └           ┘└           ┘
#pragma once

#include "linear.h"

namespace seqcli {
namespace SEQCLI_ISA {

constexpr float NEVER = -1e30f;  // score of the columns behind the last

// The scores of `count` rows of x for one panel of the vocabulary, whose columns begin at `scores`.
// Call: a struct with x, panels, bias, depth and width.
template <class T, class Call>
INLINE void score(const Call& call, const T* x, int64_t x_stride, int64_t count, int64_t panel,
                  float* scores, int64_t stride) {
    const int64_t size = panel_elements(call.depth, LINEAR_COLUMNS);
    for_groups(count, [&](int64_t row, int n) INLINE_LAMBDA {
        const T* rows[ROWS];
        for (int r = 0; r < n; ++r) rows[r] = x + (row + r) * x_stride;
        for (int r = 0; r < n; ++r)
            for (int c = 0; c < LINEAR_COLUMNS; ++c)
                fetch_to_write(scores + (row + r) * stride + c * LANES);

        Vec sum[ROWS * LINEAR_COLUMNS];
        product<LINEAR_COLUMNS>(n, rows, static_cast<const T*>(call.panels) + panel * size,
                                call.depth, sum);
        for (int c = 0; c < LINEAR_COLUMNS; ++c) {
            const int64_t unit = panel * LINEAR_UNITS + c * LANES;
            const int lanes = unit < call.width ? lanes_from(unit, call.width) : 0;
            const Vec bias = call.bias ? load(call.bias + unit, lanes) : Vec{};
            for (int r = 0; r < n; ++r) {
                float* to = scores + (row + r) * stride + c * LANES;
                if (lanes < LANES) store(to, broadcast(NEVER));
                store(to, sum[r * LINEAR_COLUMNS + c] + bias, lanes);
            }
        }
    });
}

// Of n scores, a multiple of 2 · LANES; NaN is passed over.
inline float maximum(const float* s, int64_t n) {
    Vec most = broadcast(NEVER);
    for (int64_t v = 0; v < n; v += LANES) {
        const Vec x = load(s + v);
        most = x > most ? x : most;
    }
    float result = most[0];
    for (int i = 1; i < LANES; ++i) result = most[i] > result ? most[i] : result;
    return result;
}

// s becomes exp(s − most); returns the sum.
inline float exponentials(float* s, float most, int64_t n) {
    Vec sums[2] = {};
    for (int64_t v = 0; v < n; v += 2 * LANES)
        UNROLL for (int i = 0; i < 2; ++i) {
            const Vec e = exp(load(s + v + i * LANES) - most);
            store(s + v + i * LANES, e);
            sums[i] = sums[i] + e;
        }
    return total(sums[0] + sums[1]);
}

}  // namespace SEQCLI_ISA
}  // namespace seqcli
