// Texts and the counted runs of tokens at their ends; seqcli/data/backoff.py has the equations. Plain
// code for any processor: the time goes into finding keys in memory.
#pragma once

#include <algorithm>

#include "interface.h"
#include "threads.h"

namespace seqcli {

// Append a token to each text, and give the probability of each token after it.
inline int64_t follow_runs(const Runs& call) {
    const int64_t vocabulary = call.vocabulary, longest = call.longest;
    if (!std::all_of(call.tokens, call.tokens + call.rows,
                     [&](int64_t token) { return token >= 0 && token < vocabulary; }))
        return 1;
    // The first key of a length that is not below `key`.
    const auto seek = [&](int64_t length, int64_t key) {
        const int64_t* const keys = call.keys[length - 1];
        return std::lower_bound(keys, keys + call.sizes[length - 1], key) - keys;
    };
    spread(call.rows, call.rows * longest * vocabulary, call.threads,
           [&](int64_t first, int64_t last) {
        for (int64_t r = first; r < last; ++r) {
            int64_t* const runs = call.runs + r * (longest - 1);
            // The longest first: each goes on from the shorter one that ended before.
            for (int64_t length = longest - 1; length > 1; --length) {
                const int64_t before = runs[length - 2];
                int64_t place = -1;
                if (before >= 0) {
                    const int64_t key = before * vocabulary + call.tokens[r];
                    place = seek(length, key);
                    if (place == call.sizes[length - 1] || call.keys[length - 1][place] != key)
                        place = -1;
                }
                runs[length - 1] = place;
            }
            if (longest > 1) runs[0] = call.tokens[r];
            float* const chances = call.chances + r * vocabulary;
            for (int64_t v = 0; v < vocabulary; ++v)
                chances[v] = call.own[0][v] + call.rest[0][0] / static_cast<float>(vocabulary);
            for (int64_t length = 2; length <= longest && runs[length - 2] >= 0; ++length) {
                const int64_t run = runs[length - 2], base = run * vocabulary;
                const float rest = call.rest[length - 1][run];
                for (int64_t v = 0; v < vocabulary; ++v) chances[v] *= rest;
                const int64_t* const keys = call.keys[length - 1];
                for (int64_t at = seek(length, base);
                     at < call.sizes[length - 1] && keys[at] < base + vocabulary; ++at)
                    chances[keys[at] - base] += call.own[length - 1][at];
            }
        }
    });
    return 0;
}

}  // namespace seqcli
