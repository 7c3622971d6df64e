// What Python and the kernels say to each other about the simple recurrent unit (Lei et al. 2018;
// interface.h has the rest).
#pragma once

#include <cstdint>

namespace seqcli {

// One direction of one layer of H units. P products of the input: W x, W_f x, W_r x and, where the
// input is not as wide as the layer, x' = W_x x.
struct Sru {
    int64_t batch, tokens, hidden;
    int64_t products;   // P: 3 or 4
    int64_t reverse;    // 1: from each sequence's last token to its first
    int64_t bf16;       // 1: operands are bf16
    int64_t threads;    // at most this many
    int64_t dy_stride;  // floats from one token of dy to the next
    double scale;       // of x': the α of the paper
    const int64_t* offsets;  // (B + 1)
    const void* inputs;      // (N, P·H) operand, without biases
    const float* x;          // (N, H) x' of three products, the input itself
    const float* v;          // (2·H) v_f v_r
    const float* bias;       // (2·H) b_f b_r
    const float* c_first;    // (B, H) memory before step 0
    float* y;                // (N, H)
    float* c;                // (N, H) memory after each token, read by the backward pass; or null
    float* c_last;           // (B, H)
    // Backward:
    const float* dy;  // (N, H), or null when only the last memory was used
    void* dinputs;    // (N, P·H) operand
    float* dx;        // (N, H) through x' of three products
    float* sums;      // (4·H) gradients of b_f b_r v_f v_r
    float* dc;        // (B, H) in: gradient of c_last; out: of c_first
};

// The kernels of one instruction set; `share` and `totals` as in interface.h.
struct SruKernels {
    void (*forward)(const Sru& call, const int32_t* share, int64_t count);
    void (*backward)(const Sru& call, const int32_t* share, int64_t count, float* totals);
};

}  // namespace seqcli
