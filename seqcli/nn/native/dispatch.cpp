// The functions Python calls. They choose the instruction set, divide the batch over threads and
// call that set's kernels.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>

#include "backoff.h"
#include "ngrams.h"
#include "set.h"
#include "threads.h"

namespace seqcli {

#define DECLARE(isa)      \
    namespace isa {       \
    extern const Set SET; \
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
const Set* const ALL[] = {
#define ADDRESS(isa) &isa::SET,
    SEQCLI_EACH_ISA(ADDRESS)};

const Set* chosen = nullptr;

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

bool is_scan(const Recurrent& call) { return call.kind == MINGRU || call.kind == MINLSTM; }
bool is_scan(const Sru&) { return true; }
bool is_scan(const Mogrifier&) { return false; }

template <class Call>
bool small(const Call& call) {
    return call.tokens * call.hidden * (is_scan(call) ? 64 : 4 * call.hidden) < SMALL;
}

// What one thread does of a layer: some sequences in one direction, and of a scan some units.
template <class Call>
struct Piece {
    const Call* call;
    std::vector<int32_t> share;
    std::vector<float> totals;  // backward: sums over the share's tokens

    int64_t size() const { return static_cast<int64_t>(share.size()); }
};

// The directions of a layer, cut up for the threads.
template <class Call>
std::vector<Piece<Call>> cut(const Call* calls, int64_t count) {
    int64_t shares = calls->threads;
    if (shares % count == 0) shares /= count;
    if (small(*calls)) shares = 1;
    const int64_t blocks = is_scan(*calls) ? scan_blocks(*calls, scan_units(*calls)) : 1;
    std::vector<Piece<Call>> pieces;
    for (const Call* call = calls; call < calls + count; ++call)
        for (std::vector<int32_t>& share : divide(lengths(*call, blocks), shares))
            pieces.push_back({call, std::move(share), {}});
    return pieces;
}

template <class Call>
int64_t run_forward(const Call* calls, int64_t count,
                    void (*kernel)(const Call&, const int32_t*, int64_t)) {
    if (!std::all_of(calls, calls + count, valid<Call>)) return 1;
    const std::vector<Piece<Call>> pieces = cut(calls, count);
    parallel(small(*calls) ? 1 : calls->threads, pieces.size(), [&](int64_t i) {
        kernel(*pieces[i].call, pieces[i].share.data(), pieces[i].size());
    });
    return 0;
}

// sums(call): where the `width` sums of a direction go, added up in the order of the pieces.
template <class Call, class Sums>
int64_t run_backward(const Call* calls, int64_t count, int64_t width, Sums sums,
                     void (*kernel)(const Call&, const int32_t*, int64_t, float*)) {
    if (!std::all_of(calls, calls + count, valid<Call>)) return 1;
    std::vector<Piece<Call>> pieces = cut(calls, count);
    parallel(small(*calls) ? 1 : calls->threads, pieces.size(), [&](int64_t i) {
        pieces[i].totals.resize(width);
        kernel(*pieces[i].call, pieces[i].share.data(), pieces[i].size(), pieces[i].totals.data());
    });
    for (const Call* call = calls; call < calls + count; ++call) std::fill_n(sums(*call), width, 0.f);
    for (const Piece<Call>& piece : pieces)
        for (int64_t j = 0; j < width; ++j) sums(*piece.call)[j] += piece.totals[j];
    return 0;
}

int64_t forward(const Recurrent* calls, int64_t count) {
    return run_forward(calls, count, is_scan(*calls) ? chosen->layers.scan_forward : chosen->layers.forward);
}

int64_t backward(const Recurrent* calls, int64_t count) {
    return run_backward(
        calls, count, calls->gradients * calls->hidden,
        [](const Recurrent& call) { return call.dbias; },
        is_scan(*calls) ? chosen->layers.scan_backward : chosen->layers.backward);
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
        chosen->training.cross(call, call.tokens * i / parts, call.tokens * (i + 1) / parts, scores.get(),
                      totals[i].data());
    });
    if (!call.d || !call.dbias) return 0;
    std::copy_n(totals[0].data(), call.width, call.dbias);
    for (int64_t i = 1; i < parts; ++i)
        for (int64_t v = 0; v < call.width; ++v) call.dbias[v] += totals[i][v];
    return 0;
}

// What the spans of a row come to, and the best of its candidates in the order of the runs.
void settle(const Choice& call, const std::vector<Mass>& masses,
            const std::vector<Candidate>& found, int64_t row) {
    float most = masses[row].most;
    for (size_t at = row; at < masses.size(); at += call.rows) most = std::max(most, masses[at].most);
    double z = 0;
    for (size_t at = row; at < masses.size(); at += call.rows)
        z += masses[at].sum * std::exp(double{masses[at].most} - most);
    std::vector<Candidate> all;
    for (size_t at = row * call.count; at < found.size(); at += call.rows * call.count)
        all.insert(all.end(), &found[at], &found[at] + call.count);
    std::stable_sort(all.begin(), all.end(), [](const Candidate& one, const Candidate& other) {
        return one.score > other.score;
    });
    for (int64_t i = 0; i < call.count; ++i) {
        call.logs[row * call.count + i] =
            static_cast<float>(double{all[i].score} - most - std::log(z));
        call.tokens[row * call.count + i] = all[i].token;
    }
}

int64_t choose(const Choice& call) {
    if (call.count < 1 || call.count > call.width) return 1;
    const int64_t spans = (call.width + CHOICE_SPAN - 1) / CHOICE_SPAN;
    const int64_t threads = call.rows * call.depth * call.width < SMALL ? 1 : call.threads;
    const int64_t runs = std::min(threads > 1 ? 4 * threads : 1, spans);
    std::vector<Mass> masses(spans * call.rows);
    std::vector<Candidate> found(runs * call.rows * call.count);
    parallel(threads, runs, [&](int64_t i) {
        const std::unique_ptr<float[]> scores(new float[LINEAR_TOKENS * CHOICE_SPAN]);
        chosen->layers.choose(call, spans * i / runs, spans * (i + 1) / runs, scores.get(), masses.data(),
                       found.data() + i * call.rows * call.count);
    });
    spread(call.rows, call.rows * spans * 64, threads, [&](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; ++row) settle(call, masses, found, row);
    });
    return 0;
}

template <class Call>
void run_shares(const Call& call, const Shares& shares,
                void (*kernel)(const Call&, const int32_t*, int64_t)) {
    parallel(shares.size(), shares.size(), [&](int64_t i) {
        kernel(call, shares[i].data(), static_cast<int64_t>(shares[i].size()));
    });
}

// Sequences one after the other from 0 to `tokens`, none of them empty.
bool full(const int64_t* offsets, int64_t batch) {
    if (batch < 1 || offsets[0] != 0) return false;
    return std::adjacent_find(offsets, offsets + batch + 1, std::greater_equal<>()) ==
           offsets + batch + 1;
}

int64_t pool(const Pooling& call) {
    if (!full(call.offsets, call.batch)) return 1;
    spread(call.batch, call.offsets[call.batch] * call.width * 4, call.threads,
           [&](int64_t first, int64_t last) { chosen->training.pool(call, first, last); });
    return 0;
}

bool within(const int64_t* places, int64_t count, int64_t size) {
    return std::all_of(places, places + count, [&](int64_t at) { return 0 <= at && at < size; });
}

// The sequences of a batch for each thread.
Shares share_out(const Chain& call) {
    const int64_t work = call.offsets[call.batch] * call.labels * call.labels * 4;
    std::vector<int64_t> lengths(call.batch);
    for (int64_t b = 0; b < call.batch; ++b) lengths[b] = call.offsets[b + 1] - call.offsets[b];
    return divide(lengths, work < SMALL ? 1 : call.threads);
}

int64_t chains(const Chain& call) {
    if (!full(call.offsets, call.batch)) return 1;
    const int64_t L = call.labels;
    if (call.gold && !within(call.gold, call.offsets[call.batch], L)) return 2;
    const Odds odds = odds_of(call);
    for (int64_t i = 0; i < L; ++i) {
        odds.first[i] = std::exp(double{call.first[i]});
        odds.last[i] = std::exp(double{call.last[i]});
        for (int64_t j = 0; j < L; ++j)
            odds.after[i * L + j] = odds.turned[j * L + i] = std::exp(double{call.after[i * L + j]});
    }
    run_shares(call, share_out(call), chosen->training.chains);
    return 0;
}

// Sums over the weights are added up in the order of the shares.
int64_t chains_backward(const Chain& call) {
    const Shares shares = share_out(call);
    const int64_t L = call.labels;
    std::vector<std::vector<double>> sums(shares.size());
    parallel(shares.size(), shares.size(), [&](int64_t i) {
        sums[i].resize(chain_sums_size(L));
        chosen->training.chains_backward(call, shares[i].data(), shares[i].size(), sums[i].data());
    });
    std::vector<double>& whole = sums[0];
    for (size_t i = 1; i < sums.size(); ++i)
        for (size_t j = 0; j < whole.size(); ++j) whole[j] += sums[i][j];
    const ChainSums found = chain_sums(whole.data(), L);
    const Odds odds = odds_of(call);
    std::copy_n(whole.data(), 2 * L, call.dweights);
    for (int64_t j = 0; j < L * L; ++j)
        call.dweights[2 * L + j] =
            static_cast<float>(found.pairs[j] * odds.after[j] - found.follows[j]);
    return 0;
}

int64_t look_up(const Lookup& call) {
    if (!within(call.places, call.entries, call.size)) return 1;
    const int64_t* end = call.offsets + call.batch + 1;
    if (call.offsets ? call.offsets[0] != 0 || end[-1] != call.entries ||
                           !std::is_sorted(call.offsets, end)
                     : call.batch != call.entries)
        return 1;
    const auto read = [&](int64_t place) { return call.seen[place] < 0; };
    if (call.seen && !std::all_of(call.places, call.places + call.entries, read)) return 1;
    const int64_t work = call.entries * call.width * 4;
    if (!call.backward) {
        spread(call.batch, work, call.threads, [&](int64_t first, int64_t last) {
            chosen->training.look_up(call, first, last);
        });
        return 0;
    }
    constexpr int64_t units = 16;  // a cache line's
    spread((call.width + units - 1) / units, work, call.threads, [&](int64_t first, int64_t last) {
        chosen->training.add_up(call, first * units, std::min(last * units, call.width));
    });
    return 0;
}

// Bring rows up to date that are about to be read, and give each a slot: how many have one then, or
// −1 for a row that the table does not have.
int64_t read_rows(const Rows& call) {
    if (!within(call.places, call.entries, call.size)) return -1;
    std::vector<Late> late;
    int64_t count = call.count;
    for (int64_t m = 0; m < call.entries; ++m) {
        const int64_t row = call.places[m], seen = call.seen[row];
        if (seen < 0) continue;
        call.slots[count] = row;
        call.seen[row] = -1 - count++;
        if (seen == call.now) continue;
        const auto lag = static_cast<double>(call.now - seen);
        const auto began = static_cast<double>(std::max<int64_t>(call.steps - call.now + seen, 1));
        const double decay = call.decays[call.now];
        late.push_back({row, static_cast<float>(std::exp(decay - call.decays[seen])),
                        static_cast<float>(std::exp(decay) * call.sums[seen]),
                        static_cast<float>(call.epsilon *
                                           std::sqrt(1 - std::pow(call.second, began))),
                        static_cast<float>(std::pow(call.first, lag)),
                        static_cast<float>(std::pow(call.second, lag))});
    }
    const auto found = static_cast<int64_t>(late.size());
    spread(found, found * call.width * 8, call.threads, [&](int64_t first, int64_t last) {
        chosen->training.catch_up(call, late.data(), first, last);
    });
    return count;
}

int64_t step_rows(const Rows& call) {
    spread(call.count, call.count * call.width * 8, call.threads,
           [&](int64_t first, int64_t last) { chosen->training.update(call, first, last); });
    for (int64_t slot = 0; slot < call.count; ++slot) call.seen[call.slots[slot]] = call.now;
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
    const auto kernel = backward ? chosen->layers.attend_backward : chosen->layers.attend_forward;
    const Shares shares = divide(work, small ? 1 : call.threads);
    run_shares(call, shares, kernel);
    return 0;
}

}  // namespace

extern "C" {

// Checksum of the headers that Python mirrors, by which it knows a library of its own version.
int64_t seqcli_interface() { return SEQCLI_INTERFACE; }

// Choose an instruction set by name, or the best one for an empty name. Returns the name of the
// one in use, or null when this library or processor does not have the one asked for.
const char* seqcli_choose(const char* name) {
    for (const Set* set : ALL) {
        const char* own = set->layers.name;
        if (!runs(own) || (*name && strcmp(name, own))) continue;
        chosen = set;
        return own;
    }
    return nullptr;
}

int64_t seqcli_has_bf16() { return chosen->layers.bf16; }

// Operands in the panels of a matrix.
int64_t seqcli_panel_elements(const Packing* call) {
    return chosen->layers.blocks(*call) * chosen->layers.block_elements(*call);
}

int64_t seqcli_pack(const Packing* call) {
    const int64_t blocks = chosen->layers.blocks(*call);
    spread(blocks, seqcli_panel_elements(call) * 8, call->threads,
           [&](int64_t first, int64_t last) { chosen->layers.pack(*call, first, last); });
    return 0;
}

int64_t seqcli_linear(const Linear* call) {
    spread(chosen->layers.linear_units(*call), call->tokens * call->depth * call->width, call->threads,
           [&](int64_t first, int64_t last) { chosen->layers.linear(*call, first, last); });
    return 0;
}

// Returns 0, or 1 for more tokens than there are.
int64_t seqcli_choose_tokens(const Choice* call) { return choose(*call); }

// Returns 0, or 1 for a token outside the vocabulary.
int64_t seqcli_follow_runs(const Runs* call) { return follow_runs(*call); }

// Returns 0, or 1 for a gold token outside the vocabulary.
int64_t seqcli_cross(const Vocabulary* call) { return cross(*call); }

int64_t seqcli_drop(const Dropout* call) {
    spread(call->count, call->count * 4, call->threads,
           [&](int64_t first, int64_t last) { chosen->training.drop(*call, first, last); });
    return 0;
}

// They return 0, or 1 for offsets that do not rise from 0, and for empty sequences.
int64_t seqcli_pool(const Pooling* call) { return pool(*call); }
int64_t seqcli_chains(const Chain* call) { return chains(*call); }
int64_t seqcli_chains_backward(const Chain* call) { return chains_backward(*call); }

// Returns 0, or 1 for offsets that do not rise, rows that the table does not have or, of gradients,
// rows that nobody has read.
int64_t seqcli_look_up(const Lookup* call) { return look_up(*call); }
int64_t seqcli_find_ngrams(const Ngrams* call) { return find_ngrams(*call); }
int64_t seqcli_read_rows(const Rows* call) { return read_rows(*call); }
int64_t seqcli_step_rows(const Rows* call) { return step_rows(*call); }

// The directions of a layer, all together. Both return 0, or 1 for offsets that do not rise from 0
// to the number of tokens.
int64_t seqcli_forward(const Recurrent* calls, int64_t count) { return forward(calls, count); }
int64_t seqcli_backward(const Recurrent* calls, int64_t count) { return backward(calls, count); }

// The same for a simple recurrent unit, one direction at a time.
int64_t seqcli_sru_forward(const Sru* call) { return run_forward(call, 1, chosen->sru.forward); }
int64_t seqcli_sru_backward(const Sru* call) {
    return run_backward(
        call, 1, 4 * call->hidden, [](const Sru& one) { return one.sums; }, chosen->sru.backward);
}

// The same for a Mogrifier LSTM.
int64_t seqcli_mogrifier_forward(const Mogrifier* call) {
    return run_forward(call, 1, chosen->mogrifier.forward);
}
int64_t seqcli_mogrifier_backward(const Mogrifier* call) {
    return run_backward(
        call, 1, 4 * call->hidden, [](const Mogrifier& one) { return one.dbias; },
        chosen->mogrifier.backward);
}

// The same for attention.
int64_t seqcli_attend_forward(const Attention* call) { return run(*call, false); }
int64_t seqcli_attend_backward(const Attention* call) { return run(*call, true); }

}  // extern "C"

}  // namespace seqcli
