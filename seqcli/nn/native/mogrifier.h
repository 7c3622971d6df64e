// What Python and the kernels say to each other about the Mogrifier LSTM (Melis et al. 2020;
// interface.h has the rest).
#pragma once

#include <cstdint>

namespace seqcli {

// One direction of one layer, I inputs, H units. Round r = 0, 1, … scales in turn
//
//     the input    x = 2 σ(Q_r h) ⊙ x    for r = 0, 2, …
//     the state    h = 2 σ(R_r x) ⊙ h    for r = 1, 3, …
//
// `xs` and `hs` are layers of R rows: what each token's input and the state before it are at first,
// after their first scaling, after their second …; `x_shares` and `h_shares` the σ between them.
struct Mogrifier {
    int64_t batch, tokens, inputs, hidden, rounds;
    int64_t rows;       // R, of a layer of xs and hs; N or more
    int64_t reverse;    // 1: from each sequence's last token to its first
    int64_t bf16;       // 1: operands are bf16
    int64_t keep;       // 1: write what only the backward pass needs
    int64_t threads;    // at most this many
    int64_t stride;     // floats of `sums` a sequence
    int64_t dy_stride;  // floats from one token of dy to the next
    const int64_t* offsets;         // (B + 1)
    const void* const* scales;      // packed Q_0 R_1 Q_2 …
    const void *w_ih, *w_hh;        // packed
    const float* bias;              // (4·H) b_ih + b_hh
    const float *h_first, *c_first; // (B, H)
    float* sums;                    // (B, stride) working memory
    void *xs, *hs;                  // operands; the first layer of xs is given
    void *x_shares, *h_shares;      // (scalings, N, I) and (scalings, N, H): float, or half for bf16
    void* gates;                    // (N, 4·H) the same
    float* c;                       // (N, H)
    float* y;                       // (N, H)
    float *h_last, *c_last;         // (B, H)
    // Backward, whose matrices are packed for products with their transpose:
    const float* dy;         // (N, H), or null when only the last state was used
    void* dgates;            // (R, 4·H) operand: gradients of the sums inside the gates
    void *dx_sums, *dh_sums; // operands like the shares, of R rows: of the sums inside the σ
    float* dx;               // (N, I)
    float* dbias;            // (4·H)
    float *dh, *dc;          // (B, H) in: gradients of the last state; out: of the first
};

// Layers of xs (side 0) and hs (side 1) that round r starts from, and the two after all rounds.
constexpr int64_t mogrified(int64_t round, int64_t side) { return (round + 1 - side) / 2; }

// The kernels of one instruction set; `share` and `totals` as in interface.h.
struct MogrifierKernels {
    void (*forward)(const Mogrifier& call, const int32_t* share, int64_t count);
    void (*backward)(const Mogrifier& call, const int32_t* share, int64_t count, float* totals);
};

}  // namespace seqcli
