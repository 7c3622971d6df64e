// From the states of each sequence to one vector: their mean, or the largest of each unit.
//
//     x       a b c | d e          y_b = max or mean of the rows of sequence b
//
// For the largest the kernel notes where it was found, which is all that the backward pass needs.
// Equal values count as the first of them; what is not a number stays visible.
#pragma once

#include "training.h"
#include "vec.h"

namespace seqcli {
namespace SEQCLI_ISA {

// All units of one sequence.
struct Pool {
    const Pooling& call;
    const int64_t begin, end, H;
    float* const y;
    int32_t* const place;

    Pool(const Pooling& call, int64_t b)
        : call(call), begin(call.offsets[b]), end(call.offsets[b + 1]), H(call.width),
          y(call.y + b * H), place(call.place ? call.place + b * H : nullptr) {}

    float share() const { return 1 / static_cast<float>(end - begin); }

    void forward() const {
        for (int64_t unit = 0; unit < H; unit += LANES) {
            const int lanes = lanes_from(unit, H);
            const float* x = call.x + begin * call.x_stride + unit;
            Vec found = load(x, lanes);
            Int at = {};
            for (int32_t t = 1; t < end - begin; ++t) {
                x += call.x_stride;
                const Vec next = load(x, lanes);
                if (!place) {
                    found = found + next;
                    continue;
                }
                const Int better = ~(next <= found) & (found == found);
                found = better ? next : found;
                at = better ? Int{} + t : at;
            }
            store(y + unit, place ? found : found * share(), lanes);
            if (place) memcpy(place + unit, &at, sizeof(int32_t) * lanes);
        }
    }

    void backward() const {
        for (int64_t unit = 0; unit < H; unit += LANES) {
            const int lanes = lanes_from(unit, H);
            const Vec dy = load(y + unit, lanes);
            Int at = {};
            if (place) memcpy(&at, place + unit, sizeof(int32_t) * lanes);
            float* dx = call.dx + begin * H + unit;
            for (int32_t t = 0; t < end - begin; ++t, dx += H)
                store(dx, place ? (at == t ? dy : Vec{}) : dy * share(), lanes);
        }
    }
};

static void pool(const Pooling& call, int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) {
        if (call.dx) Pool(call, b).backward();
        else Pool(call, b).forward();
    }
}

}  // namespace SEQCLI_ISA
}  // namespace seqcli
