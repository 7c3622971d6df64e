// The loss of a vocabulary, −log softmax(x W^T + b) at the gold token, without keeping the scores.
//
// A chunk of tokens is scored panel by panel (linear.h) into memory that stays in the cache, and
// its rows are turned into losses and gradients there; only the gradients, in the type of the
// operands, go out to memory:
//
//     x (tokens, depth) ── chunk ──► scores ──► loss = log Σ_v exp(s_v) − s_gold
//                                       └─────► d_v  = softmax(s)_v − [v = gold]
//
// With smoothing ε the target is (1 − ε) [v = gold] + ε / V.
#pragma once

#include "linear.h"
#include "training.h"

namespace seqcli {
namespace SEQCLI_ISA {

constexpr float NEVER = -1e30f;  // score of the columns behind the last

template <class T>
struct Cross {
    const Vocabulary& call;
    float* const scores;  // of one chunk
    float* const totals;  // sums of d over this thread's tokens
    const int64_t V, stride;

    Cross(const Vocabulary& call, float* scores, float* totals)
        : call(call), scores(scores), totals(totals), V(call.width),
          stride((V + LINEAR_UNITS - 1) / LINEAR_UNITS * LINEAR_UNITS) {}

    void run(int64_t first, int64_t last) const {
        const int64_t rows = cross_rows(call);
        for (int64_t begin = first; begin < last; begin += rows) {
            const int64_t count = last - begin < rows ? last - begin : rows;
            for (int64_t panel = 0; panel < stride / LINEAR_UNITS; ++panel)
                for_groups(count, [&](int64_t row, int n) { score(begin, row, n, panel); });
            for (int64_t row = 0; row < count; ++row) settle(begin + row, scores + row * stride);
        }
    }

    // The scores of n rows of the chunk for one panel of the vocabulary.
    INLINE void score(int64_t begin, int64_t row, int n, int64_t panel) const {
        const T* x[ROWS];
        for (int r = 0; r < n; ++r)
            x[r] = static_cast<const T*>(call.x) + (begin + row + r) * call.depth;
        Vec sum[ROWS * LINEAR_COLUMNS];
        const int64_t size = panel_elements(call.depth, LINEAR_COLUMNS);
        product<LINEAR_COLUMNS>(n, x, static_cast<const T*>(call.panels) + panel * size, call.depth,
                                sum);
        for (int c = 0; c < LINEAR_COLUMNS; ++c) {
            const int64_t unit = panel * LINEAR_UNITS + c * LANES;
            const int lanes = unit < V ? lanes_from(unit, V) : 0;
            const Vec bias = call.bias ? load(call.bias + unit, lanes) : Vec{};
            for (int r = 0; r < n; ++r) {
                float* to = scores + (row + r) * stride + unit;
                if (lanes < LANES) store(to, broadcast(NEVER));
                store(to, sum[r * LINEAR_COLUMNS + c] + bias, lanes);
            }
        }
    }

    // The loss of a token and the gradients of its scores s.
    void settle(int64_t token, float* s) const {
        const int64_t gold = call.gold[token];
        const float even = static_cast<float>(call.smoothing / V);
        const float rest = static_cast<float>(1 - call.smoothing), most = maximum(s);
        float below = rest * (most - s[gold]);  // the target's mean distance from the most
        if (call.smoothing > 0) below += even * distance(s, most);
        const float z = exponentials(s, most);
        call.nats[token] = __builtin_logf(z) + below;
        if (!call.d) return;
        const float scale = static_cast<float>(call.scale), share = scale / z;
        T* d = static_cast<T*>(call.d) + token * V;
        for (int64_t v = 0; v < V; v += LANES) {
            const int lanes = lanes_from(v, V);
            const Vec dv = load(s + v) * share - scale * even;
            store(d + v, dv, lanes);
            store(totals + v, load(totals + v) + dv);
        }
        store(d + gold, broadcast(s[gold] * share - scale * even - scale * rest), 1);
        totals[gold] -= scale * rest;
    }

    float maximum(const float* s) const {
        Vec most = broadcast(NEVER);
        for (int64_t v = 0; v < stride; v += LANES) {
            const Vec x = load(s + v);
            most = x > most ? x : most;
        }
        float result = most[0];
        for (int i = 1; i < LANES; ++i) result = most[i] > result ? most[i] : result;
        return result;
    }

    // Σ_v (most − s_v)
    float distance(const float* s, float most) const {
        Vec sums = {};
        int64_t v = 0;
        for (; v + LANES <= V; v += LANES) sums = sums + (most - load(s + v));
        float result = total(sums);
        for (; v < V; ++v) result += most - s[v];
        return result;
    }

    // s becomes exp(s − most); returns the sum.
    float exponentials(float* s, float most) const {
        Vec sums[2] = {};
        for (int64_t v = 0; v < stride; v += 2 * LANES)
            UNROLL for (int i = 0; i < 2; ++i) {
                const Vec e = exp(load(s + v + i * LANES) - most);
                store(s + v + i * LANES, e);
                sums[i] = sums[i] + e;
            }
        return total(sums[0] + sums[1]);
    }
};

}  // namespace SEQCLI_ISA
}  // namespace seqcli
