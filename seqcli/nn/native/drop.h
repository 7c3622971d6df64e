// Dropout (Srivastava et al. 2014): y = x / (1 − p), or 0 with probability p. Whether element i is
// kept follows from the seed and i alone, so that the backward pass, given the seed, needs no mask
// from memory and threads share nothing.
//
// The random bits are two rounds of a 32-bit mixing function (the constants are C. Wellons's
// "lowbias32", 2018), each keyed with half of the seed.
#pragma once

#include "training.h"
#include "vec.h"

namespace seqcli {
namespace SEQCLI_ISA {

INLINE Bits mix(Bits x) {
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return x ^ (x >> 16);
}

static void drop(const Dropout& call, int64_t first, int64_t last) {
    const float scale = static_cast<float>(1 / (1 - call.fraction));
    const auto limit = static_cast<uint32_t>(call.fraction * 4294967296.0);
    const auto low = static_cast<uint32_t>(call.seed), high = static_cast<uint32_t>(call.seed >> 32);
    Bits lane;
    for (int i = 0; i < LANES; ++i) lane[i] = i;
    for (int64_t at = first; at < last; at += LANES) {
        const int lanes = lanes_from(at, last);
        const Bits place = lane + static_cast<uint32_t>(at);
        const Bits bits = mix(mix(place ^ low) + (high ^ static_cast<uint32_t>(at >> 32)));
        const Vec x = load(call.x + at, lanes);
        store(call.y + at, bits >= limit ? x * scale : Vec{}, lanes);
    }
}

}  // namespace SEQCLI_ISA
}  // namespace seqcli
