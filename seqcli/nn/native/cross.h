// The loss of a vocabulary, −log softmax(x W^T + b) at the gold token, without keeping the scores.
//
// A chunk of tokens is scored panel by panel (scores.h) into memory that stays in the cache, and
// its rows are turned into losses and gradients there; only the gradients, in the type of the
// operands, go out to memory:
//
//     x (tokens, depth) ── chunk ──► scores ──► loss = log Σ_v exp(s_v) − s_gold
//                                       └─────► d_v  = softmax(s)_v − [v = gold]
//
// With smoothing ε the target is (1 − ε) [v = gold] + ε / V.
#pragma once

#include "scores.h"
#include "training.h"

namespace seqcli {
namespace SEQCLI_ISA {

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
            const T* x = static_cast<const T*>(call.x) + begin * call.depth;
            for (int64_t panel = 0; panel < stride / LINEAR_UNITS; ++panel)
                score(call, x, call.depth, count, panel, scores + panel * LINEAR_UNITS, stride);
            for (int64_t row = 0; row < count; ++row) settle(begin + row, scores + row * stride);
        }
    }

    // The loss of a token and the gradients of its scores s.
    void settle(int64_t token, float* s) const {
        const int64_t gold = call.gold[token];
        const float even = static_cast<float>(call.smoothing / V);
        const float rest = static_cast<float>(1 - call.smoothing), most = maximum(s, stride);
        float below = rest * (most - s[gold]);  // the target's mean distance from the most
        if (call.smoothing > 0) below += even * distance(s, most);
        const float z = exponentials(s, most, stride);
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

    // Σ_v (most − s_v)
    float distance(const float* s, float most) const {
        Vec sums = {};
        int64_t v = 0;
        for (; v + LANES <= V; v += LANES) sums = sums + (most - load(s + v));
        float result = total(sums);
        for (; v < V; ++v) result += most - s[v];
        return result;
    }
};

}  // namespace SEQCLI_ISA
}  // namespace seqcli
