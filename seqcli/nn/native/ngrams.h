// Which n-grams of a table come in each text; seqcli/nn/ngrams.py has the equations of keys and
// values. Plain code for any processor: the time goes into finding keys in memory.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "training.h"

namespace seqcli {

// The number of entries found, or −1 for offsets that do not rise from 0 to the number of tokens.
inline int64_t find_ngrams(const Ngrams& call) {
    const auto keys_end = call.keys + call.size;
    if (call.offsets[0] != 0 || call.offsets[call.batch] != call.tokens ||
        !std::is_sorted(call.offsets, call.offsets + call.batch + 1))
        return -1;
    // Keys wrap around as those of torch do, which only unsigned numbers may.
    const auto base = static_cast<uint64_t>(call.vocabulary);
    std::vector<uint64_t> begins(call.longest), digits(call.longest);
    for (int64_t n = 0; n < call.longest; ++n)
        begins[n] = (n ? begins[n - 1] * base : 0) + static_cast<uint64_t>(call.before);
    int64_t count = 0;
    for (int64_t b = 0; b < call.batch; ++b) {
        int64_t* const places = call.places + count;
        int64_t found = 0;
        digits = begins;
        for (int64_t t = call.offsets[b]; t < call.offsets[b + 1]; ++t) {
            const auto token = static_cast<uint64_t>(call.values[t]);
            for (int64_t n = call.longest - 1; n > 0; --n) digits[n] = digits[n - 1] * base + token;
            digits[0] = token;
            uint64_t shift = 0;
            for (int64_t n = 0; n < call.longest; ++n, shift = (shift + 1) * base) {
                const auto key = static_cast<int64_t>(shift + digits[n]);
                const int64_t* const at = std::lower_bound(call.keys, keys_end, key);
                if (at != keys_end && *at == key) places[found++] = at - call.keys;
            }
        }
        std::sort(places, places + found);
        found = std::unique(places, places + found) - places;
        float* const x = call.x + count;
        float square = 0;
        for (int64_t m = 0; m < found; ++m) {
            x[m] = call.weights[places[m]];
            square += x[m] * x[m];
        }
        const float norm = std::max(std::sqrt(square), 1e-9f);
        for (int64_t m = 0; m < found; ++m) x[m] /= norm;
        count += found;
        call.bounds[b + 1] = count;
    }
    call.bounds[0] = 0;
    return count;
}

}  // namespace seqcli
