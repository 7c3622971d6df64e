// Weights packed into panels, and the register tile that multiplies rows by a panel.
//
// A panel holds the COLUMNS vectors of weights that one tile needs at each depth k of the product,
// so that the inner loop reads memory strictly forwards. For an LSTM, with LANES = 16 units:
//
//     panel of units 0–15           k = 0: i₀…i₁₅ f₀…f₁₅ g₀…g₁₅ o₀…o₁₅
//                                   k = 1: i₀…i₁₅ f₀…f₁₅ g₀…g₁₅ o₀…o₁₅
//     panel of units 16–31          …
//
// With bf16 operands two depths stand side by side in each lane (i₀ of k = 0, i₀ of k = 1, i₁ …).
// Columns beyond the last unit and depths beyond the last are zero.
#pragma once

#include "vec.h"

namespace seqcli {
namespace SEQCLI_ISA {

// ---- packing ----

INLINE int64_t panel_elements(int64_t depth, int columns) {
    return (depth + 1) / 2 * 2 * columns * LANES;
}

// weights(k, column) is one vector of the panel; it is asked for in the order they are stored.
template <class T, class Weights>
INLINE void pack_panel(T* panel, int64_t depth, int columns, Weights weights) {
    constexpr int DEPTH = Operand<T>::DEPTH;
    Vec block[LANES][DEPTH];
    for (int64_t k = 0; k < depth; k += DEPTH) {
        for (int d = 0; d < DEPTH; ++d)
            for (int c = 0; c < columns; ++c)
                block[c][d] = k + d < depth ? weights(k + d, c) : Vec{};
        for (int c = 0; c < columns; ++c, panel += DEPTH * LANES)
            Operand<T>::store_column(panel, block[c]);
    }
}

// A panel for W x: UNITS vectors of units from `unit0` on, each with GATES rows of W, `height`
// apart. The depth runs along the rows of W, so squares of LANES × LANES are turned over.
template <int GATES, int UNITS, class T>
INLINE void pack_rows(const float* w, int64_t height, int64_t depth, int64_t unit0, T* panel) {
    constexpr int COLUMNS = GATES * UNITS;
    Vec squares[COLUMNS][LANES];
    pack_panel(panel, depth, COLUMNS, [&](int64_t k, int c) {
        if (k % LANES == 0) {
            const int64_t unit = unit0 + c / GATES * LANES;
            const float* corner = w + (c % GATES * height + unit) * depth + k;
            for (int i = 0; i < LANES; ++i)
                squares[c][i] =
                    unit + i < height ? load(corner + i * depth, lanes_from(k, depth)) : Vec{};
            transpose(squares[c]);
        }
        return squares[c][k % LANES];
    });
}

// A panel for W^T d: COLUMNS vectors of columns of W from `unit0` on. The depth runs along the
// columns of W; row(k) is the k-th row to take.
template <int COLUMNS, class T, class Row>
INLINE void pack_columns(const float* w, int64_t depth, int64_t width, int64_t unit0, T* panel,
                         Row row) {
    pack_panel(panel, depth, COLUMNS, [&](int64_t k, int c) {
        const int64_t unit = unit0 + c * LANES;
        return unit < width ? load(w + row(k) * width + unit, lanes_from(unit, width)) : Vec{};
    });
}

// ---- the product of up to ROWS rows and a panel ----

// sum[r][c] = rows[r] · panel, added up in the order of k whatever R is.
template <int R, int COLUMNS, class T>
INLINE void tile(const T* const* rows, const T* panel, int64_t depth, Vec* sum) {
    using Op = Operand<T>;
    Vec part[R][COLUMNS] = {};
    const auto step = [&](int64_t k, auto read) INLINE_LAMBDA {
        typename Op::Column x[R];
        UNROLL for (int r = 0; r < R; ++r) x[r] = read(rows[r] + k);
        UNROLL for (int c = 0; c < COLUMNS; ++c) {
            const auto w = Op::load_column(panel + (k * COLUMNS + c * Op::DEPTH) * LANES);
            UNROLL for (int r = 0; r < R; ++r) part[r][c] = Op::multiply_add(x[r], w, part[r][c]);
        }
    };
    int64_t k = 0;
    for (; k + Op::DEPTH <= depth; k += Op::DEPTH) step(k, Op::broadcast_column);
    if (k < depth) step(k, Op::broadcast_last);
    memcpy(sum, part, sizeof part);
}

template <int R, int COLUMNS, class T>
INLINE void tile_of(int count, const T* const* rows, const T* panel, int64_t depth, Vec* sum) {
    if (count == R) return tile<R, COLUMNS>(rows, panel, depth, sum);
    if constexpr (R > 1) tile_of<R - 1, COLUMNS>(count, rows, panel, depth, sum);
}

// The same for a number of rows known only now, from 1 to ROWS.
template <int COLUMNS, class T>
NOINLINE void product(int count, const T* const* rows, const T* panel, int64_t depth, Vec* sum) {
    tile_of<ROWS, COLUMNS>(count, rows, panel, depth, sum);
}

// Call tile(first, rows) for balanced groups of at most ROWS out of n rows.
template <class Tile>
INLINE void for_groups(int64_t n, Tile tile) {
    for (int64_t first = 0, groups = (n + ROWS - 1) / ROWS; groups > 0; --groups) {
        const int rows = static_cast<int>((n - first + groups - 1) / groups);
        tile(first, rows);
        first += rows;
    }
}

}  // namespace SEQCLI_ISA
}  // namespace seqcli
