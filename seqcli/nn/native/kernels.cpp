// The kernels of one instruction set: compiled once for each, with SEQCLI_ISA naming the namespace
// and compiler flags choosing the instructions (see hatch_build.py).
//
// Nothing here may use the C++ library: its inline functions would be compiled with this file's
// instructions, and the linker might pick that copy for processors that lack them.
#include "attend.h"
#include "scan.h"

namespace seqcli {
namespace SEQCLI_ISA {

template <class T>
struct Type {
    using type = T;
};

// Calls f(Type<Cell>{}, Type<operand>{}) for the cell and operand type of a call.
template <class Cell, class F>
static void with_operand(bool bf16, F f) {
    if constexpr (HAS_BF16) {
        if (bf16) return f(Type<Cell>{}, Type<Bf16>{});
    }
    (void)bf16;
    f(Type<Cell>{}, Type<float>{});
}

template <class F>
static void with_walk(int64_t kind, bool bf16, F f) {
    switch (kind) {
        case RNN_TANH: return with_operand<Rnn<false>>(bf16, f);
        case RNN_RELU: return with_operand<Rnn<true>>(bf16, f);
        case LSTM: return with_operand<Lstm>(bf16, f);
        case GRU: return with_operand<Gru>(bf16, f);
    }
}

template <class F>
static void with_scan(int64_t kind, bool bf16, F f) {
    if (kind == MINGRU) with_operand<MinGru>(bf16, f);
    else with_operand<MinLstm>(bf16, f);
}

#define WALK Walk<typename decltype(cell)::type, typename decltype(operand)::type>
#define SCAN Scan<typename decltype(cell)::type, typename decltype(operand)::type>

static int64_t panel_blocks(int64_t kind, int64_t hidden, bool backward) {
    int64_t blocks = 0;
    with_walk(kind, false, [&](auto cell, auto operand) { blocks = WALK::blocks(hidden, backward); });
    return blocks;
}

static int64_t block_elements(int64_t kind, int64_t hidden, bool backward) {
    int64_t elements = 0;
    with_walk(kind, false, [&](auto cell, auto operand) {
        elements = WALK::block_elements(hidden, backward);
    });
    return elements;
}

static void pack(int64_t kind, int64_t hidden, bool bf16, bool backward, const float* w_hh,
                 void* panels, int64_t first, int64_t last) {
    with_walk(kind, bf16, [&](auto cell, auto operand) {
        using T = typename decltype(operand)::type;
        WALK::pack(hidden, backward, w_hh, static_cast<T*>(panels), first, last);
    });
}

static void forward(const Recurrent& call, const int32_t* share, int64_t count) {
    with_walk(call.kind, call.bf16,
              [&](auto cell, auto operand) { WALK(call, share, count).forward(); });
}

static void backward(const Recurrent& call, const int32_t* share, int64_t count) {
    with_walk(call.kind, call.bf16,
              [&](auto cell, auto operand) { WALK(call, share, count).backward(); });
}

static void scan_forward(const Recurrent& call, const int32_t* share, int64_t count) {
    const int64_t blocks = (call.hidden + SCAN_UNITS - 1) / SCAN_UNITS;
    with_scan(call.kind, call.bf16, [&](auto cell, auto operand) {
        SCAN scan(call);
        for (int64_t i = 0; i < count; ++i)
            scan.forward(share[i] / blocks, share[i] % blocks * SCAN_UNITS);
    });
}

static void scan_backward(const Recurrent& call, const int32_t* share, int64_t count) {
    const int64_t blocks = (call.hidden + SCAN_UNITS - 1) / SCAN_UNITS;
    with_scan(call.kind, call.bf16, [&](auto cell, auto operand) {
        SCAN scan(call);
        for (int64_t i = 0; i < count; ++i)
            scan.backward(share[i] / blocks, share[i] % blocks * SCAN_UNITS);
    });
}

static void attend_forward(const Attention& call, const int32_t* share, int64_t count) {
    for (int64_t i = 0; i < count; ++i) Attend(call, share[i]).forward();
}

static void attend_backward(const Attention& call, const int32_t* share, int64_t count) {
    for (int64_t i = 0; i < count; ++i) Attend(call, share[i]).backward(share[i]);
}

#define NAME_(isa) #isa
#define NAME(isa) NAME_(isa)
extern const Kernels KERNELS;
const Kernels KERNELS = {
    NAME(SEQCLI_ISA), HAS_BF16, panel_blocks, block_elements, pack,           forward,
    backward,         scan_forward, scan_backward, attend_forward, attend_backward};

}  // namespace SEQCLI_ISA
}  // namespace seqcli
