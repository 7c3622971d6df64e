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

// weights(k, column) is one vector of the panel.
template <class Weights>
INLINE void pack_panel(float* panel, int64_t depth, int columns, Weights weights) {
    for (int64_t k = 0; k < depth; ++k)
        for (int c = 0; c < columns; ++c, panel += LANES) store(panel, weights(k, c));
}

// ---- the product of up to ROWS rows and a panel ----

// sum[r][c] = rows[r] · panel, added up in the order of k whatever R is.
template <int R, int COLUMNS>
INLINE void tile(const float* const* rows, const float* panel, int64_t depth, Vec* sum) {
    Vec part[R][COLUMNS] = {};
    for (int64_t k = 0; k < depth; ++k, panel += COLUMNS * LANES) {
        Vec x[R];
        UNROLL for (int r = 0; r < R; ++r) x[r] = broadcast(rows[r][k]);
        UNROLL for (int c = 0; c < COLUMNS; ++c) {
            const Vec w = load(panel + c * LANES);
            UNROLL for (int r = 0; r < R; ++r) part[r][c] = fma(x[r], w, part[r][c]);
        }
    }
    memcpy(sum, part, sizeof part);
}

#if defined(__AVX512BF16__)
template <class Weights>
INLINE void pack_panel(Bf16* panel, int64_t depth, int columns, Weights weights) {
    for (int64_t k = 0; k < depth; k += 2)
        for (int c = 0; c < columns; ++c, panel += 2 * LANES) {
            const Vec even = weights(k, c);
            store_pairs(panel, even, k + 1 < depth ? weights(k + 1, c) : Vec{});
        }
}

template <int R, int COLUMNS>
INLINE void tile(const Bf16* const* rows, const Bf16* panel, int64_t depth, Vec* sum) {
    Vec part[R][COLUMNS] = {};
    for (int64_t k = 0; k < depth; k += 2, panel += 2 * COLUMNS * LANES) {
        Pairs x[R];
        UNROLL for (int r = 0; r < R; ++r) x[r] = broadcast_pair(rows[r] + k);
        UNROLL for (int c = 0; c < COLUMNS; ++c) {
            const Pairs w = load_pairs(panel + 2 * c * LANES);
            UNROLL for (int r = 0; r < R; ++r) part[r][c] = dot_pairs(x[r], w, part[r][c]);
        }
    }
    memcpy(sum, part, sizeof part);
}
#endif

// The same for a number of rows known only now, from 1 to ROWS.
template <int COLUMNS, class T, int R = ROWS>
INLINE void product(int count, const T* const* rows, const T* panel, int64_t depth, Vec* sum) {
    if (count == R) return tile<R, COLUMNS>(rows, panel, depth, sum);
    if constexpr (R > 1) product<COLUMNS, T, R - 1>(count, rows, panel, depth, sum);
}

}  // namespace SEQCLI_ISA
}  // namespace seqcli
