// The forward and the backward sums of a linear chain over each sequence (Rabiner 1989), in double
// precision, each step scaled to a sum of one:
//
//     before_t = own_t (before_{t-1} A) / c_t        c_t makes them sum to one
//     behind_t = A next_{t+1}                        next_t = own_t behind_t / c_t
//
// own_t = exp(scores of token t − the highest), A = exp(scores of a label after another). The product
// of before and behind is the marginal, and before_{t-1}(i) A_ij next_t(j) that of a pair of labels:
// what is expected of them, less the path of gold, is the gradient.
#pragma once

#include "training.h"
#include "vec.h"

namespace seqcli {
namespace SEQCLI_ISA {

// out = x W, W (L, L)
INLINE void step_along(const double* x, const double* w, int64_t L, double* out) {
    for (int64_t j = 0; j < L; ++j) out[j] = x[0] * w[j];
    for (int64_t i = 1; i < L; ++i) {
        const double factor = x[i];
        for (int64_t j = 0; j < L; ++j) out[j] += factor * w[i * L + j];
    }
}

INLINE double at_least_tiny(double x) { return x < 1e-300 ? 1e-300 : x; }

static double score_of_path(const Chain& call, int64_t begin, int64_t end) {
    const int64_t L = call.labels, *gold = call.gold;
    double score = double{call.first[gold[begin]]} + call.last[gold[end - 1]];
    for (int64_t n = begin; n < end; ++n) {
        score += call.scores[n * L + gold[n]];
        if (n > begin) score += call.after[gold[n - 1] * L + gold[n]];
    }
    return score;
}

static void chain(const Chain& call, int64_t b) {
    const int64_t L = call.labels, begin = call.offsets[b], end = call.offsets[b + 1];
    const Odds odds = odds_of(call);
    double log_z = 0;
    for (int64_t n = begin; n < end; ++n) {
        const float* scores = call.scores + n * L;
        double *here = call.before + n * L, *own = call.next + n * L;  // until the way back
        float most = scores[0];
        for (int64_t j = 1; j < L; ++j) most = scores[j] > most ? scores[j] : most;
        for (int64_t j = 0; j < L; ++j) own[j] = __builtin_exp(double{scores[j]} - most);
        const double* reached = odds.first;
        if (n > begin) {
            step_along(here - L, odds.after, L, here);
            reached = here;
        }
        double sum = 0;
        for (int64_t j = 0; j < L; ++j) sum += here[j] = own[j] * reached[j];
        sum = at_least_tiny(sum);
        for (int64_t j = 0; j < L; ++j) here[j] /= sum;
        for (int64_t j = 0; j < L; ++j) own[j] /= sum;
        log_z += __builtin_log(sum) + most;
    }
    double sum = 0;
    for (int64_t j = 0; j < L; ++j) sum += call.before[(end - 1) * L + j] * odds.last[j];
    sum = at_least_tiny(sum);
    call.total[b] = log_z + __builtin_log(sum);
    if (call.gold) call.total[b] -= score_of_path(call, begin, end);
    for (int64_t n = end - 1; n >= begin; --n) {
        double *here = call.behind + n * L, *next = call.next + n * L;
        if (n + 1 < end) step_along(next + L, odds.turned, L, here);
        else
            for (int64_t j = 0; j < L; ++j) here[j] = odds.last[j] / sum;
        for (int64_t j = 0; j < L; ++j) next[j] *= here[j];
    }
    // What the first token of a sequence gives on belongs to no pair.
    for (int64_t j = 0; j < L; ++j) call.next[begin * L + j] = 0;
}

static void chains(const Chain& call, const int32_t* share, int64_t count) {
    for (int64_t i = 0; i < count; ++i) chain(call, share[i]);
}

static void chain_backward(const Chain& call, int64_t b, const ChainSums& sums) {
    const int64_t L = call.labels, begin = call.offsets[b], end = call.offsets[b + 1];
    const double weight = call.weight[b];
    for (int64_t n = begin; n < end; ++n) {
        const double *before = call.before + n * L, *behind = call.behind + n * L;
        const int64_t gold = call.gold ? call.gold[n] : -1;
        for (int64_t j = 0; j < L; ++j) {
            const double d = (before[j] * behind[j] - (j == gold)) * weight;
            call.dscores[n * L + j] = static_cast<float>(d);
            if (n == begin) sums.first[j] += d;
            if (n + 1 == end) sums.last[j] += d;
        }
        if (n == begin) continue;
        const double* next = call.next + n * L;
        for (int64_t i = 0; i < L; ++i) {
            const double factor = before[i - L] * weight;
            for (int64_t j = 0; j < L; ++j) sums.pairs[i * L + j] += factor * next[j];
        }
        if (call.gold) sums.follows[call.gold[n - 1] * L + gold] += weight;
    }
}

static void chains_backward(const Chain& call, const int32_t* share, int64_t count, double* sums) {
    for (int64_t i = 0; i < count; ++i)
        chain_backward(call, share[i], chain_sums(sums, call.labels));
}

}  // namespace SEQCLI_ISA
}  // namespace seqcli
