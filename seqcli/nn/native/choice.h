// The likeliest tokens of a vocabulary and their log-probabilities, without keeping the scores.
//
// The vocabulary is read in spans of CHOICE_SPAN columns. For each, a chunk of rows is scored
// (scores.h) and what is asked is taken of the scores before the next ones are written over them:
//
//                span 0     span 1     span 2  …
//     chunk of  ┌────────┐
//       rows    │ scores │ ──► of each row: the mass (most, Σ exp(s − most)) of the span,
//               └────────┘     and those of its scores that are among the best so far
//
// Threads take runs of spans. A row's mass comes from its spans in their order, and its best tokens
// do not depend on where the runs end, so that threads and other rows change no bit.
#pragma once

#include "scores.h"

namespace seqcli {
namespace SEQCLI_ISA {

template <class T>
struct Choose {
    const Choice& call;
    float* const scores;      // of one chunk and span
    Mass* const masses;       // (spans, rows)
    Candidate* const found;   // (rows, count) of this run of spans, best first

    void run(int64_t first_span, int64_t last_span) const {
        for (int64_t i = 0; i < call.rows * call.count; ++i) found[i] = {-__builtin_inff(), 0};
        for (int64_t span = first_span; span < last_span; ++span)
            for (int64_t begin = 0; begin < call.rows; begin += LINEAR_TOKENS)
                read(span, begin, begin + LINEAR_TOKENS < call.rows ? LINEAR_TOKENS : call.rows - begin);
    }

    // A span for the chunk of `count` rows from `begin` on.
    void read(int64_t span, int64_t begin, int64_t count) const {
        const int64_t column = span * CHOICE_SPAN, panel = column / LINEAR_UNITS;
        const int64_t left = (call.width - column + LINEAR_UNITS - 1) / LINEAR_UNITS;
        const int64_t panels = left < CHOICE_SPAN / LINEAR_UNITS ? left : CHOICE_SPAN / LINEAR_UNITS;
        const T* x = static_cast<const T*>(call.x) + begin * call.x_stride;
        for (int64_t p = 0; p < panels; ++p)
            score(call, x, call.x_stride, count, panel + p, scores + p * LINEAR_UNITS, CHOICE_SPAN);
        for (int64_t row = 0; row < count; ++row) {
            float* s = scores + row * CHOICE_SPAN;
            const float most = maximum(s, panels * LINEAR_UNITS);
            Candidate* best = found + (begin + row) * call.count;
            if (most > best[call.count - 1].score) pick(s, panels * LINEAR_UNITS, column, best);
            masses[span * call.rows + begin + row] = {most, exponentials(s, most, panels * LINEAR_UNITS)};
        }
    }

    // Put those of n scores that belong there among the best of a row.
    void pick(const float* s, int64_t n, int64_t column, Candidate* best) const {
        const Candidate& last = best[call.count - 1];
        for (int64_t v = 0; v < n; v += LANES) {
            if (!any_above(load(s + v), last.score)) continue;
            for (int i = 0; i < LANES; ++i) {
                const int64_t token = column + v + i;
                if (s[v + i] > last.score && token < call.width && token != call.without)
                    insert({s[v + i], token}, best);
            }
        }
    }

    // In front of all that are worse; of equals the lower token stays first.
    void insert(Candidate one, Candidate* best) const {
        int64_t at = call.count - 1;
        for (; at > 0 && one.score > best[at - 1].score; --at) best[at] = best[at - 1];
        best[at] = one;
    }
};

}  // namespace SEQCLI_ISA
}  // namespace seqcli
