// The functions Python calls. They choose the instruction set, divide the batch over threads and
// call that set's kernels.
#include <algorithm>
#include <cstring>
#include <memory>

#include "interface.h"
#include "sru.h"
#include "threads.h"
#include "training.h"

namespace seqcli {

#define DECLARE(isa)                                \
    namespace isa {                                 \
    extern const Kernels KERNELS;                   \
    extern const TrainingKernels TRAINING_KERNELS;  \
    extern const SruKernels SRU_KERNELS;            \
    }
SEQCLI_EACH_ISA(DECLARE)

namespace {

// Has this processor what the kernels of that name need?
bool runs(const char* name) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (!strcmp(name, "avx512bf16")) return avx512 && __builtin_cpu_supports("avx512bf16");
    if (!strcmp(name, "avx512")) return avx512;
    if (!strcmp(name, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return !strcmp(name, "baseline");
}

// Compiled-in instruction sets, best first.
struct Set {
    const Kernels* kernels;
    const TrainingKernels* training;
    const SruKernels* sru;
};
const Set ALL[] = {
#define ADDRESSES(isa) {&isa::KERNELS, &isa::TRAINING_KERNELS, &isa::SRU_KERNELS},
    SEQCLI_EACH_ISA(ADDRESSES)};

const Kernels* chosen = nullptr;
const TrainingKernels* chosen_training = nullptr;
const SruKernels* chosen_sru = nullptr;

// Work below this many multiply-adds is done before a second thread has woken up.
constexpr int64_t SMALL = 500'000;

// run(first, last) for runs of about equal length of `units` units, several a thread.
template <class Run>
void spread(int64_t units, int64_t work, int64_t threads, Run run) {
    if (work < SMALL) threads = 1;
    const int64_t parts = std::min(threads > 1 ? 4 * threads : 1, units);
    parallel(threads, parts, [&](int64_t i) { run(units * i / parts, units * (i + 1) / parts); });
}

template <class Call>
std::vector<int64_t> lengths(const Call& call, int64_t blocks) {
    std::vector<int64_t> result;
    result.reserve(call.batch * blocks);
    for (int64_t b = 0; b < call.batch; ++b)
        result.insert(result.end(), blocks, call.offsets[b + 1] - call.offsets[b]);
    return result;
}

// Offsets that would send a kernel outside the batch are refused.
template <class Call>
bool valid(const Call& call) {
    if (call.batch < 1 || call.hidden < 1 || call.offsets[0] != 0) return false;
    if (call.offsets[call.batch] != call.tokens) return false;
    return std::is_sorted(call.offsets, call.offsets + call.batch + 1);
}

template <class Call>
Shares shares_of_scan(const Call& call) {
    const bool small = call.tokens * call.hidden * 64 < SMALL;
    const int64_t blocks = (call.hidden + SCAN_UNITS - 1) / SCAN_UNITS;
    return divide(lengths(call, blocks), small ? 1 : call.threads);
}

bool is_scan(const Recurrent& call) { return call.kind == MINGRU || call.kind == MINLSTM; }

Shares shares_of(const Recurrent& call) {
    if (is_scan(call)) return shares_of_scan(call);
    const bool small = call.tokens * call.hidden * 4 * call.hidden < SMALL;
    return divide(lengths(call, 1), small ? 1 : call.threads);
}

template <class Call>
void run_forward(const Call& call, const Shares& shares,
                 void (*kernel)(const Call&, const int32_t*, int64_t)) {
    parallel(shares.size(), shares.size(), [&](int64_t i) {
        kernel(call, shares[i].data(), static_cast<int64_t>(shares[i].size()));
    });
}

// `sums` (width): what the shares' kernels added up, in the order of the shares.
template <class Call>
void run_backward(const Call& call, const Shares& shares,
                  void (*kernel)(const Call&, const int32_t*, int64_t, float*), int64_t width,
                  float* sums) {
    std::vector<std::vector<float>> totals(shares.size(), std::vector<float>(width));
    parallel(shares.size(), shares.size(), [&](int64_t i) {
        kernel(call, shares[i].data(), static_cast<int64_t>(shares[i].size()), totals[i].data());
    });
    std::fill_n(sums, width, 0.f);
    for (const std::vector<float>& total : totals)
        for (int64_t j = 0; j < width; ++j) sums[j] += total[j];
}

int64_t forward(const Recurrent& call) {
    if (!valid(call)) return 1;
    const auto kernel = is_scan(call) ? chosen->scan_forward : chosen->forward;
    run_forward(call, shares_of(call), kernel);
    return 0;
}

int64_t backward(const Recurrent& call) {
    if (!valid(call)) return 1;
    const auto kernel = is_scan(call) ? chosen->scan_backward : chosen->backward;
    run_backward(call, shares_of(call), kernel, call.gradients * call.hidden, call.dbias);
    return 0;
}

int64_t forward(const Sru& call) {
    if (!valid(call)) return 1;
    run_forward(call, shares_of_scan(call), chosen_sru->forward);
    return 0;
}

int64_t backward(const Sru& call) {
    if (!valid(call)) return 1;
    run_backward(call, shares_of_scan(call), chosen_sru->backward, 4 * call.hidden, call.sums);
    return 0;
}

// Every thread takes one run of tokens, so that sums over them come out the same every time.
int64_t cross(const Vocabulary& call) {
    for (int64_t n = 0; n < call.tokens; ++n)
        if (call.gold[n] < 0 || call.gold[n] >= call.width) return 1;
    const int64_t wide = (call.width + WIDEST_UNITS - 1) / WIDEST_UNITS * WIDEST_UNITS;
    const bool small = call.tokens * call.depth * call.width < SMALL;
    const int64_t parts = small ? 1 : std::max<int64_t>(1, std::min(call.threads, call.tokens));
    std::vector<std::vector<float>> totals(parts);
    parallel(parts, parts, [&](int64_t i) {
        const std::unique_ptr<float[]> scores(new float[cross_rows(call) * wide]);
        totals[i].resize(wide);
        chosen_training->cross(call, call.tokens * i / parts, call.tokens * (i + 1) / parts, scores.get(),
                      totals[i].data());
    });
    if (!call.d || !call.dbias) return 0;
    std::copy_n(totals[0].data(), call.width, call.dbias);
    for (int64_t i = 1; i < parts; ++i)
        for (int64_t v = 0; v < call.width; ++v) call.dbias[v] += totals[i][v];
    return 0;
}

bool valid(const Attention& call) {
    if (call.batch < 1 || call.depth < 1 || call.width < 1) return false;
    for (const int64_t* offsets : {call.queries, call.keys})
        if (offsets[0] != 0 || !std::is_sorted(offsets, offsets + call.batch + 1)) return false;
    return true;
}

int64_t run(const Attention& call, bool backward) {
    if (!valid(call)) return 1;
    std::vector<int64_t> work(call.batch);
    for (int64_t b = 0; b < call.batch; ++b) work[b] = call.pairs[b + 1] - call.pairs[b];
    const bool small = call.pairs[call.batch] * (call.depth + call.width) < SMALL;
    const auto kernel = backward ? chosen->attend_backward : chosen->attend_forward;
    const Shares shares = divide(work, small ? 1 : call.threads);
    run_forward(call, shares, kernel);
    return 0;
}

}  // namespace

extern "C" {

// Checksum of interface.h, by which Python knows a library of its own version.
int64_t seqcli_interface() { return SEQCLI_INTERFACE; }

// Choose an instruction set by name, or the best one for an empty name. Returns the name of the
// one in use, or null when this library or processor does not have the one asked for.
const char* seqcli_choose(const char* name) {
    for (const Set& set : ALL) {
        const char* own = set.kernels->name;
        if (!runs(own) || (*name && strcmp(name, own))) continue;
        chosen = set.kernels;
        chosen_training = set.training;
        chosen_sru = set.sru;
        return own;
    }
    return nullptr;
}

int64_t seqcli_has_bf16() { return chosen->bf16; }

// Operands in the panels of a matrix.
int64_t seqcli_panel_elements(const Packing* call) {
    return chosen->blocks(*call) * chosen->block_elements(*call);
}

int64_t seqcli_pack(const Packing* call) {
    const int64_t blocks = chosen->blocks(*call);
    spread(blocks, seqcli_panel_elements(call) * 8, call->threads,
           [&](int64_t first, int64_t last) { chosen->pack(*call, first, last); });
    return 0;
}

int64_t seqcli_linear(const Linear* call) {
    spread(chosen->linear_units(*call), call->tokens * call->depth * call->width, call->threads,
           [&](int64_t first, int64_t last) { chosen->linear(*call, first, last); });
    return 0;
}

// Returns 0, or 1 for a gold token outside the vocabulary.
int64_t seqcli_cross(const Vocabulary* call) { return cross(*call); }

int64_t seqcli_drop(const Dropout* call) {
    spread(call->count, call->count * 4, call->threads,
           [&](int64_t first, int64_t last) { chosen_training->drop(*call, first, last); });
    return 0;
}

// They return 0, or 1 for offsets that do not rise from 0 to the number of tokens.
int64_t seqcli_forward(const Recurrent* call) { return forward(*call); }
int64_t seqcli_backward(const Recurrent* call) { return backward(*call); }
int64_t seqcli_sru_forward(const Sru* call) { return forward(*call); }
int64_t seqcli_sru_backward(const Sru* call) { return backward(*call); }

// The same for attention.
int64_t seqcli_attend_forward(const Attention* call) { return run(*call, false); }
int64_t seqcli_attend_backward(const Attention* call) { return run(*call, true); }

}  // extern "C"

}  // namespace seqcli
