// The product of all tokens and a packed matrix: y = x W^T, or dx = d W with W packed by columns.
//
// Work is cut into units of LINEAR_TOKENS tokens and one panel; a thread takes a run of units, so
// that a panel stays in its cache while the tokens pass by. Each row of y is summed in one order
// whatever rows surround it, which a general matrix product does not promise.
#pragma once

#include "interface.h"
#include "panel.h"

namespace seqcli {
namespace SEQCLI_ISA {

constexpr int LINEAR_COLUMNS = 4;
constexpr int64_t LINEAR_UNITS = LINEAR_COLUMNS * LANES;

template <class T, class Y>
INLINE void linear_tile(const Linear& call, int64_t token, int rows, int64_t panel) {
    const T* x[ROWS];
    for (int r = 0; r < rows; ++r) x[r] = static_cast<const T*>(call.x) + (token + r) * call.x_stride;
    Y* const y = static_cast<Y*>(call.y) + token * call.width + panel * LINEAR_UNITS;
    for (int r = 0; r < rows; ++r)
        for (int c = 0; c < LINEAR_COLUMNS; ++c)
            fetch_to_write(y + r * call.width + c * LANES);
    Vec sum[ROWS * LINEAR_COLUMNS];
    const int64_t size = panel_elements(call.depth, LINEAR_COLUMNS);
    product<LINEAR_COLUMNS>(rows, x, static_cast<const T*>(call.panels) + panel * size, call.depth,
                            sum);
    for (int r = 0; r < rows; ++r)
        for (int c = 0; c < LINEAR_COLUMNS; ++c) {
            const int64_t unit = panel * LINEAR_UNITS + c * LANES;
            if (unit >= call.width) break;
            const int lanes = lanes_from(unit, call.width);
            Vec found = sum[r * LINEAR_COLUMNS + c];
            if (call.bias) found = found + load(call.bias + unit, lanes);
            store(y + r * call.width + c * LANES, found, lanes);
        }
}

template <class T, class Y>
static void linear(const Linear& call, int64_t first, int64_t last) {
    const int64_t chunks = (call.tokens + LINEAR_TOKENS - 1) / LINEAR_TOKENS;
    for (int64_t unit = first; unit < last; ++unit) {
        const int64_t begin = unit % chunks * LINEAR_TOKENS, left = call.tokens - begin;
        for_groups(left < LINEAR_TOKENS ? left : LINEAR_TOKENS, [&](int64_t token, int rows) {
            linear_tile<T, Y>(call, begin + token, rows, unit / chunks);
        });
    }
}

}  // namespace SEQCLI_ISA
}  // namespace seqcli
