// The forward and the backward sums of a linear chain over each sequence (Rabiner 1989), in double
// precision, each step scaled to a sum of one:
//
//     before_t = own_t (before_{t-1} A) / c_t        c_t makes them sum to one
//     behind_t = A next_{t+1}                        next_t = own_t behind_t / c_t
//
// own_t = exp(scores of token t), A = exp(scores of a label after another). The product of before
// and behind is the marginal, and before_{t-1}(i) A_ij next_t(j) that of a pair of labels.
#pragma once

#include "training.h"
#include "vec.h"

namespace seqcli {
namespace SEQCLI_ISA {

// out = x W (L, L) or, with `own`, own ⊙ (x W).
INLINE void step_along(const double* x, const double* w, int64_t L, const double* own, double* out) {
    for (int64_t j = 0; j < L; ++j) out[j] = x[0] * w[j];
    for (int64_t i = 1; i < L; ++i) {
        const double factor = x[i];
        for (int64_t j = 0; j < L; ++j) out[j] += factor * w[i * L + j];
    }
    for (int64_t j = 0; own && j < L; ++j) out[j] *= own[j];
}

INLINE double at_least_tiny(double x) { return x < 1e-300 ? 1e-300 : x; }

static void chain(const Chain& call, int64_t b) {
    const int64_t L = call.labels, begin = call.offsets[b], end = call.offsets[b + 1];
    const double *own = call.own, *before_first = call.first;
    double *before = call.before, *behind = call.behind, *next = call.next;
    double log_z = 0;
    for (int64_t n = begin; n < end; ++n) {
        double* here = before + n * L;
        if (n > begin) step_along(here - L, call.after, L, own + n * L, here);
        else
            for (int64_t j = 0; j < L; ++j) here[j] = own[n * L + j] * before_first[j];
        double sum = 0;
        for (int64_t j = 0; j < L; ++j) sum += here[j];
        sum = at_least_tiny(sum);
        for (int64_t j = 0; j < L; ++j) here[j] /= sum;
        next[n * L] = sum;  // until the way back
        log_z += __builtin_log(sum);
    }
    double sum = 0;
    for (int64_t j = 0; j < L; ++j) sum += before[(end - 1) * L + j] * call.last[j];
    sum = at_least_tiny(sum);
    call.total[b] = log_z + __builtin_log(sum);
    for (int64_t n = end - 1; n >= begin; --n) {
        double* here = behind + n * L;
        if (n + 1 < end) step_along(next + (n + 1) * L, call.after_turned, L, nullptr, here);
        else
            for (int64_t j = 0; j < L; ++j) here[j] = call.last[j] / sum;
        const double scale = next[n * L];
        for (int64_t j = 0; j < L; ++j) next[n * L + j] = own[n * L + j] * here[j] / scale;
    }
    // What the first token of a sequence gives on belongs to no pair.
    for (int64_t j = 0; j < L; ++j) next[begin * L + j] = 0;
}

static void chains(const Chain& call, const int32_t* share, int64_t count) {
    for (int64_t i = 0; i < count; ++i) chain(call, share[i]);
}

}  // namespace SEQCLI_ISA
}  // namespace seqcli
