// The kernels of one instruction set: compiled once for each, with SEQCLI_ISA naming the namespace
// and compiler flags choosing the instructions (see hatch_build.py).
//
// Nothing here may use the C++ library: its inline functions would be compiled with this file's
// instructions, and the linker might pick that copy for processors that lack them.
#include "attend.h"
#include "chain.h"
#include "choice.h"
#include "cross.h"
#include "drop.h"
#include "mogrify.h"
#include "pool.h"
#include "rows.h"
#include "scan.h"
#include "set.h"

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
        case RNN_TANH: return with_operand<Rnn<Squash::TANH>>(bf16, f);
        case RNN_RELU: return with_operand<Rnn<Squash::RELU>>(bf16, f);
        case LSTM: return with_operand<Lstm>(bf16, f);
        case GRU: return with_operand<Gru>(bf16, f);
        case RNN_RELU_TANH: return with_operand<Rnn<Squash::RELU_TANH>>(bf16, f);
    }
}

template <class F>
static void with_scan(int64_t kind, bool bf16, F f) {
    if (kind == MINGRU) with_operand<MinGru>(bf16, f);
    else with_operand<MinLstm>(bf16, f);
}

#define WALK Walk<typename decltype(cell)::type, typename decltype(operand)::type>
#define SCAN Scan<typename decltype(cell)::type, typename decltype(operand)::type>

static bool is_hidden(const Packing& call) {
    return call.matrix == HIDDEN || call.matrix == HIDDEN_BACKWARD;
}

static int64_t blocks(const Packing& call) {
    int64_t result = (call.width + LINEAR_UNITS - 1) / LINEAR_UNITS;
    if (is_hidden(call))
        with_walk(call.kind, false, [&](auto cell, auto operand) {
            result = WALK::blocks(call.depth, call.matrix == HIDDEN_BACKWARD);
        });
    return result;
}

static int64_t block_elements(const Packing& call) {
    int64_t result = panel_elements(call.depth, LINEAR_COLUMNS);
    if (is_hidden(call))
        with_walk(call.kind, false, [&](auto cell, auto operand) {
            result = WALK::block_elements(call.depth, call.matrix == HIDDEN_BACKWARD);
        });
    return result;
}

template <class T>
static void pack_linear(const Packing& call, int64_t block) {
    T* panel = static_cast<T*>(call.panels) + block * block_elements(call);
    if (call.matrix == ROWS_OF)
        pack_rows<1, LINEAR_COLUMNS>(call.w, call.width, call.depth, block * LINEAR_UNITS, panel);
    else
        pack_columns<LINEAR_COLUMNS>(call.w, call.depth, call.width, block * LINEAR_UNITS, panel,
                                     [](int64_t k) { return k; });
}

static void pack(const Packing& call, int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
        if (is_hidden(call)) {
            with_walk(call.kind, call.bf16, [&](auto cell, auto operand) {
                using T = typename decltype(operand)::type;
                T* panels = static_cast<T*>(call.panels);
                WALK::pack(call.depth, call.matrix == HIDDEN_BACKWARD, call.w, panels, block);
            });
        } else {
            with_operand<Linear>(call.bf16, [&](auto, auto operand) {
                pack_linear<typename decltype(operand)::type>(call, block);
            });
        }
    }
}

static int64_t linear_units(const Linear& call) {
    const int64_t chunks = (call.tokens + LINEAR_TOKENS - 1) / LINEAR_TOKENS;
    return chunks * ((call.width + LINEAR_UNITS - 1) / LINEAR_UNITS);
}

static void linear_share(const Linear& call, int64_t first, int64_t last) {
    with_operand<Linear>(call.bf16, [&](auto, auto operand) {
        using T = typename decltype(operand)::type;
        if (call.y_operand) linear<T, T>(call, first, last);
        else linear<T, float>(call, first, last);
    });
}

static void choose(const Choice& call, int64_t first, int64_t last, float* scores, Mass* masses,
                   Candidate* found) {
    with_operand<Linear>(call.bf16, [&](auto, auto operand) {
        using T = typename decltype(operand)::type;
        Choose<T>{call, scores, masses, found}.run(first, last);
    });
}

static void cross(const Vocabulary& call, int64_t first, int64_t last, float* scores,
                  float* totals) {
    with_operand<Linear>(call.bf16, [&](auto, auto operand) {
        using T = typename decltype(operand)::type;
        Cross<T>(call, scores, totals).run(first, last);
    });
}

static void forward(const Recurrent& call, const int32_t* share, int64_t count) {
    with_walk(call.kind, call.bf16,
              [&](auto cell, auto operand) { WALK(call, share, count).forward(); });
}

static void backward(const Recurrent& call, const int32_t* share, int64_t count, float* totals) {
    with_walk(call.kind, call.bf16,
              [&](auto cell, auto operand) { WALK(call, share, count, totals).backward(); });
}

// run(strip) for the pairs of a sequence and a block of units in a share of a scan.
template <class Call, class Run>
static void each_strip(const Call& call, const int32_t* share, int64_t count, Run run) {
    const int64_t units = scan_units(call), blocks = scan_blocks(call, units);
    for (int64_t i = 0; i < count; ++i)
        run(Strip(call, share[i] / blocks, share[i] % blocks * units, units));
}

static void scan_forward(const Recurrent& call, const int32_t* share, int64_t count) {
    with_scan(call.kind, call.bf16, [&](auto cell, auto operand) {
        SCAN scan(call);
        each_strip(call, share, count, [&](const Strip& strip) { scan.forward(strip); });
    });
}

static void scan_backward(const Recurrent& call, const int32_t* share, int64_t count,
                          float* totals) {
    with_scan(call.kind, call.bf16, [&](auto cell, auto operand) {
        SCAN scan(call, totals);
        each_strip(call, share, count, [&](const Strip& strip) { scan.backward(strip); });
    });
}

static void sru_forward(const Sru& call, const int32_t* share, int64_t count) {
    with_operand<Sru>(call.bf16, [&](auto, auto operand) {
        SruScan<typename decltype(operand)::type> scan(call);
        each_strip(call, share, count, [&](const Strip& strip) { scan.forward(strip); });
    });
}

static void sru_backward(const Sru& call, const int32_t* share, int64_t count, float* totals) {
    with_operand<Sru>(call.bf16, [&](auto, auto operand) {
        SruScan<typename decltype(operand)::type> scan(call, totals);
        each_strip(call, share, count, [&](const Strip& strip) { scan.backward(strip); });
    });
}

static void mogrifier_forward(const Mogrifier& call, const int32_t* share, int64_t count) {
    with_operand<Mogrifier>(call.bf16, [&](auto, auto operand) {
        Mogrify<typename decltype(operand)::type>(call, share, count).forward();
    });
}

static void mogrifier_backward(const Mogrifier& call, const int32_t* share, int64_t count,
                               float* totals) {
    with_operand<Mogrifier>(call.bf16, [&](auto, auto operand) {
        Mogrify<typename decltype(operand)::type>(call, share, count, totals).backward();
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
extern const Set SET;
const Set SET = {
    {NAME(SEQCLI_ISA), HAS_BF16, blocks, block_elements, pack, linear_units, linear_share, choose,
     forward, backward, scan_forward, scan_backward, attend_forward, attend_backward},
    {cross, drop, pool, chains, chains_backward, look_up, add_up, catch_up, update},
    {sru_forward, sru_backward},
    {mogrifier_forward, mogrifier_backward}};

}  // namespace SEQCLI_ISA
}  // namespace seqcli
