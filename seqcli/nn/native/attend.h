// Attention of the queries of each sequence over the keys of the same sequence, by dot product or
// additive (Bahdanau et al. 2015):
//
//     w_ij = softmax_j(q_i · k_j)   or   softmax_j(e · tanh(q_i + k_j))      context_i = Σ_j w_ij v_j
//
// Both passes are made of two products over row-major matrices and of the softmax between them; in
// an additive one, energies take the place of the first.
// Weights of all sequences lie end to end, (M_b, N_b) each, from pairs[b] on.
#pragma once

#include "interface.h"
#include "vec.h"

namespace seqcli {
namespace SEQCLI_ISA {

// out[j] = a · b_j for J neighbouring rows of b.
template <int J>
INLINE void dots_of(const float* a, const float* b, int64_t depth, float* out) {
    Vec part[J] = {};
    for (int64_t d = 0; d < depth; d += LANES) {
        const int lanes = lanes_from(d, depth);
        const Vec x = load(a + d, lanes);
        UNROLL for (int j = 0; j < J; ++j) part[j] = fma(x, load(b + j * depth + d, lanes), part[j]);
    }
    UNROLL for (int j = 0; j < J; ++j) out[j] = total(part[j]);
}

// out (rows, columns) = a (rows, depth) · b (columns, depth)^T
inline void dots(const float* a, int64_t rows, const float* b, int64_t columns, int64_t depth,
                 float* out) {
    for (int64_t i = 0; i < rows; ++i, a += depth, out += columns) {
        int64_t j = 0;
        for (; j + 4 <= columns; j += 4) dots_of<4>(a, b + j * depth, depth, out + j);
        for (; j < columns; ++j) dots_of<1>(a, b + j * depth, depth, out + j);
    }
}

// out_j = e · tanh(a + b_j) for J neighbouring rows of b.
template <int J>
INLINE void energies_of(const float* a, const float* b, const float* e, int64_t depth, float* out) {
    Vec part[J] = {};
    for (int64_t d = 0; d < depth; d += LANES) {
        const int lanes = lanes_from(d, depth);
        const Vec x = load(a + d, lanes), scale = load(e + d, lanes);
        UNROLL for (int j = 0; j < J; ++j)
            part[j] = fma(scale, tanh(x + load(b + j * depth + d, lanes)), part[j]);
    }
    UNROLL for (int j = 0; j < J; ++j) out[j] = total(part[j]);
}

// out (rows, columns): e · tanh(a_i + b_j) for each row of a and of b.
inline void energies(const float* a, int64_t rows, const float* b, int64_t columns, const float* e,
                     int64_t depth, float* out) {
    for (int64_t i = 0; i < rows; ++i, a += depth, out += columns) {
        int64_t j = 0;
        for (; j + 4 <= columns; j += 4) energies_of<4>(a, b + j * depth, e, depth, out + j);
        for (; j < columns; ++j) energies_of<1>(a, b + j * depth, e, depth, out + j);
    }
}

// From the gradients g (rows, columns) of energies those of what they were computed from. With
// t_ij = tanh(a_i + b_j), computed again:
//
//     da_i = Σ_j g_ij e (1 - t_ij²)      db_j = Σ_i g_ij e (1 - t_ij²)      de = Σ_ij g_ij t_ij
inline void energies_backward(const float* g, const float* a, int64_t rows, const float* b,
                              int64_t columns, const float* e, int64_t depth, float* da, float* db,
                              float* de) {
    for (int64_t d = 0; d < depth; d += LANES) {
        const int lanes = lanes_from(d, depth);
        const Vec scale = load(e + d, lanes);
        Vec sum_e = {};
        for (int64_t j = 0; j < columns; ++j) store(db + j * depth + d, Vec{}, lanes);
        for (int64_t i = 0; i < rows; ++i) {
            const Vec x = load(a + i * depth + d, lanes);
            Vec sum_a = {};
            for (int64_t j = 0; j < columns; ++j) {
                const Vec t = tanh(x + load(b + j * depth + d, lanes));
                const Vec from = broadcast(g[i * columns + j]);
                const Vec step = from * scale * (1 - t * t);
                sum_e = fma(from, t, sum_e);
                sum_a = sum_a + step;
                add_to(db + j * depth + d, step, lanes);
            }
            store(da + i * depth + d, sum_a, lanes);
        }
        store(de + d, sum_e, lanes);
    }
}

// Rows R of out = w · b, where w(i, j) is w[i * down + j * across].
template <int R>
INLINE void mix_rows(const float* w, int64_t down, int64_t across, const float* b, int64_t depth,
                     int64_t width, float* out) {
    for (int64_t e = 0; e < width; e += LANES) {
        const int lanes = lanes_from(e, width);
        Vec sum[R] = {};
        for (int64_t j = 0; j < depth; ++j) {
            const Vec x = load(b + j * width + e, lanes);
            UNROLL for (int r = 0; r < R; ++r)
                sum[r] = fma(broadcast(w[r * down + j * across]), x, sum[r]);
        }
        UNROLL for (int r = 0; r < R; ++r) store(out + r * width + e, sum[r], lanes);
    }
}

// out (rows, width) = w (rows, depth) · b (depth, width)
inline void mix(const float* w, int64_t down, int64_t across, int64_t rows, const float* b,
                int64_t depth, int64_t width, float* out) {
    int64_t i = 0;
    for (; i + 6 <= rows; i += 6)
        mix_rows<6>(w + i * down, down, across, b, depth, width, out + i * width);
    for (; i < rows; ++i)
        mix_rows<1>(w + i * down, down, across, b, depth, width, out + i * width);
}

// Scores to weights, in place.
inline void softmax(float* row, int64_t n) {
    float most = row[0];
    for (int64_t j = 1; j < n; ++j) most = row[j] > most ? row[j] : most;
    Vec sums = {};
    for (int64_t j = 0; j < n; j += LANES) {
        const int lanes = lanes_from(j, n);
        const Vec e = exp(load(row + j, lanes) - most);
        store(row + j, e, lanes);
        sums = sums + load(row + j, lanes);  // zeros behind the last
    }
    const Vec sum = broadcast(total(sums));
    for (int64_t j = 0; j < n; j += LANES) {
        const int lanes = lanes_from(j, n);
        store(row + j, load(row + j, lanes) / sum, lanes);
    }
}

// Gradients of the weights to gradients of the scores, in place: w (dw - Σ w dw).
inline void softmax_backward(const float* w, float* dw, int64_t n) {
    Vec sums = {};
    for (int64_t j = 0; j < n; j += LANES) {
        const int lanes = lanes_from(j, n);
        sums = fma(load(w + j, lanes), load(dw + j, lanes), sums);
    }
    const Vec sum = broadcast(total(sums));
    for (int64_t j = 0; j < n; j += LANES) {
        const int lanes = lanes_from(j, n);
        store(dw + j, load(w + j, lanes) * (load(dw + j, lanes) - sum), lanes);
    }
}

// The two passes for one sequence.
struct Attend {
    const Attention& call;
    const int64_t M, N, D, E;
    const float *q, *k, *v;
    float *weights, *context;

    Attend(const Attention& call, int64_t b)
        : call(call),
          M(call.queries[b + 1] - call.queries[b]),
          N(call.keys[b + 1] - call.keys[b]),
          D(call.depth),
          E(call.width),
          q(call.q + call.queries[b] * D),
          k(call.k + call.keys[b] * D),
          v(call.v + call.keys[b] * E),
          weights(call.weights + call.pairs[b]),
          context(call.context + call.queries[b] * E) {}

    void forward() const {
        if (call.energy)
            energies(q, M, k, N, call.energy, D, weights);
        else
            dots(q, M, k, N, D, weights);
        for (int64_t i = 0; i < M && N > 0; ++i) softmax(weights + i * N, N);
        mix(weights, N, 1, M, v, N, E, context);
    }

    void backward(int64_t b) const {
        const float* dcontext = call.dcontext + call.queries[b] * E;
        float* dscores = call.dscores + call.pairs[b];
        dots(dcontext, M, v, N, E, dscores);
        for (int64_t i = 0; i < M; ++i) softmax_backward(weights + i * N, dscores + i * N, N);
        float *dq = call.dq + call.queries[b] * D, *dk = call.dk + call.keys[b] * D;
        if (call.energy) {
            energies_backward(dscores, q, M, k, N, call.energy, D, dq, dk, call.denergy + b * D);
        } else {
            mix(dscores, N, 1, M, k, N, D, dq);
            mix(dscores, 1, N, N, q, M, D, dk);
        }
        mix(weights, 1, N, N, dcontext, M, E, call.dv + call.keys[b] * E);
    }
};

}  // namespace SEQCLI_ISA
}  // namespace seqcli
