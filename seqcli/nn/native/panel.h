// Weights packed into panels, and the register tile that multiplies rows by a panel.
//
// A panel holds the C vectors of columns that one tile produces, so that the inner loop reads
// memory strictly forwards. For an LSTM (C = 4 gates of LANES units) and depth k = 0 … K - 1:
//
//     panel of units 0–15           k = 0: i₀…i₁₅ f₀…f₁₅ g₀…g₁₅ o₀…o₁₅
//                                   k = 1: i₀…i₁₅ f₀…f₁₅ g₀…g₁₅ o₀…o₁₅
//     panel of units 16–31          …
//
// With bf16 operands two depths stand side by side in each lane (i₀ of k = 0, i₀ of k = 1, i₁ …).
// Columns beyond the last unit and depths beyond the last row are zero.
#pragma once

#include "vec.h"

namespace seqcli {
namespace SEQCLI_ISA {

// Fill one panel. weight(k, column, lane) names the element, or 0 outside the matrix.
template <class Weight>
INLINE void pack_panel(float* panel, int64_t depth, int columns, Weight weight) {
    for (int64_t k = 0; k < depth; ++k)
        for (int c = 0; c < columns; ++c)
            for (int lane = 0; lane < LANES; ++lane) *panel++ = weight(k, c, lane);
}

template <class Weight>
INLINE void pack_panel(Bf16* panel, int64_t depth, int columns, Weight weight) {
    for (int64_t k = 0; k < depth; k += 2)
        for (int c = 0; c < columns; ++c)
            for (int lane = 0; lane < LANES; ++lane)
                for (int odd = 0; odd < 2; ++odd)
                    *panel++ = round_to_bf16(k + odd < depth ? weight(k + odd, c, lane) : 0.f);
}

// sum[r] += rows[r] · panel, one multiply-add at a time in the order of k, whatever R is.
template <int R, int C>
INLINE void product(const float* const (&rows)[R], const float* panel, int64_t depth,
                    Vec (&sum)[R][C]) {
    for (int64_t k = 0; k < depth; ++k, panel += C * LANES) {
        Vec x[R];
        UNROLL for (int r = 0; r < R; ++r) x[r] = broadcast(rows[r][k]);
        UNROLL for (int c = 0; c < C; ++c) {
            const Vec w = load(panel + c * LANES);
            UNROLL for (int r = 0; r < R; ++r) sum[r][c] = fma(x[r], w, sum[r][c]);
        }
    }
}

#if defined(__AVX512BF16__)
INLINE Int broadcast_pair(const Bf16* p) {
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return pair - Int{};
}

template <int R, int C>
INLINE void product(const Bf16* const (&rows)[R], const Bf16* panel, int64_t depth,
                    Vec (&sum)[R][C]) {
    typedef int32_t AnyInt __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
    for (int64_t k = 0; k < depth; k += 2, panel += 2 * C * LANES) {
        Int x[R];
        UNROLL for (int r = 0; r < R; ++r) x[r] = broadcast_pair(rows[r] + k);
        UNROLL for (int c = 0; c < C; ++c) {
            const Int w = *reinterpret_cast<const AnyInt*>(panel + 2 * c * LANES);
            UNROLL for (int r = 0; r < R; ++r) sum[r][c] = dot_pairs(sum[r][c], x[r], w);
        }
    }
}
#endif

template <int R>
struct Rows {};

// Call tile(Rows<R>{}, first) for balanced groups of at most ROWS out of `count` rows.
template <int R = ROWS, class Tile>
INLINE void one_group(int rows, int first, Tile tile) {
    if constexpr (R > 1) {
        if (rows < R) return one_group<R - 1>(rows, first, tile);
    }
    tile(Rows<R>{}, first);
}

template <class Tile>
INLINE void for_groups(int count, Tile tile) {
    int groups = (count + ROWS - 1) / ROWS;
    for (int first = 0; groups > 0; --groups) {
        const int rows = (count - first + groups - 1) / groups;
        one_group(rows, first, tile);
        first += rows;
    }
}

}  // namespace SEQCLI_ISA
}  // namespace seqcli
