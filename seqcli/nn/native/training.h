// What Python and the kernels say to each other about losses, dropout, pooling and tables of vectors
// (interface.h has the rest). Functions are static: see kernels.cpp.
#pragma once

#include <cstdint>

namespace seqcli {

// The loss of a vocabulary and its gradients (cross.h); W (width, depth) packed as ROWS_OF.
struct Vocabulary {
    int64_t tokens, depth, width, bf16, threads;
    double smoothing;  // spread evenly over the vocabulary, of the gold token's 1
    double scale;      // of the gradients
    const void* x;     // (N, depth) operand
    const void* panels;
    const float* bias;    // (width), or null
    const int64_t* gold;  // (N)
    float* nats;          // (N) the losses
    void* d;              // (N, width) operand: gradients of the scores; or null
    float* dbias;         // (width) their sums over all tokens
};

// Tokens whose scores are held at a time by a thread: few enough to stay in its cache, enough to
// read the weights seldom.
static int64_t cross_rows(const Vocabulary& call) {
    const int64_t rows = (3 << 19) / call.width;
    return rows < 24 ? 24 : rows > 96 ? 96 : rows;
}
constexpr int64_t WIDEST_UNITS = 64;  // of a panel of `linear`, in any instruction set

// y = x with a fraction of its elements zero and the others scaled up (drop.h).
struct Dropout {
    int64_t count, seed, threads;
    double fraction;
    const float* x;
    float* y;
};

// The mean or the largest of the rows of each sequence (pool.h); none may be empty.
struct Pooling {
    int64_t batch, width, threads;
    int64_t x_stride;        // floats from one token of x to the next
    const int64_t* offsets;  // (B + 1)
    const float* x;          // (N, width)
    float* y;                // (B, width); in the backward pass their gradients
    int32_t* place;          // (B, width) where the largest is, from the first token; null: mean
    float* dx;               // (N, width), or null in the forward pass
};

// The sums over all paths of labels (chain.h), L labels, and their gradients; no sequence may be
// empty.
struct Chain {
    int64_t batch, labels, threads;
    const int64_t* offsets;             // (B + 1)
    const int64_t* gold;                // (N) labels of a path to compare with, or null
    const float* scores;                // (N, L)
    const float *first, *after, *last;  // (L), (L, L), (L)
    double* odds;                       // (2 L + 2 L²) working memory: `Odds`
    double *before, *behind, *next;     // (N, L)
    double* total;                      // (B) log Z, less the score of the path
    // Backward:
    const double* weight;  // (B) gradients of `total`
    float* dscores;        // (N, L)
    float* dweights;       // (2 L + L²) of first, last and after
};

// exp of the scores of first and last labels, of each label after each, and the last transposed.
struct Odds {
    double *first, *last, *after, *turned;
};
static Odds odds_of(const Chain& call) {
    const int64_t L = call.labels;
    return {call.odds, call.odds + L, call.odds + 2 * L, call.odds + (2 + L) * L};
}

// What a share of sequences adds to the gradients of the weights: of first and last labels; of pairs
// the sums over all paths, still without their odds; and how often they come in the paths of gold.
struct ChainSums {
    double *first, *last, *pairs, *follows;
};
static ChainSums chain_sums(double* sums, int64_t L) {
    return {sums, sums + L, sums + 2 * L, sums + (2 + L) * L};
}
static int64_t chain_sums_size(int64_t L) { return 2 * L * (1 + L); }

// Sums of rows of a table, and their gradients (rows.h); V rows of E floats, M entries of B sums.
struct Lookup {
    int64_t batch, entries, size, width, threads;  // B, M, V, E
    int64_t backward;        // 1: add the gradients of the sums to those of the rows
    const int64_t* offsets;  // (B + 1) where the entries of each sum begin; null: one each
    const int64_t* places;   // (M) rows
    const float* weights;    // (M), or null: 1
    const int64_t* seen;     // (V) of `Rows`, whose slots get the gradients; null: the rows do
    float* table;            // (V, E); backward: gradients
    float* y;                // (B, E); backward: their gradients
};

// The known n-grams of texts (ngrams.h); F of them in all.
struct Ngrams {
    int64_t batch, tokens, size, vocabulary, longest, before;  // B, N, F; before: begin-of-text
    const int64_t* offsets;  // (B + 1)
    const int64_t* values;   // (N)
    const int64_t* keys;     // (F) rising
    const float* weights;    // (F)
    int64_t* places;         // (N · longest) room for the places of all entries, text by text
    float* x;                // (N · longest) their values
    int64_t* bounds;         // (B + 1) where the entries of each text begin
};

// AdamW for the rows that are read; optimizer.py has the equations.
struct Rows {
    int64_t entries, size, width, threads;  // M, V, E
    int64_t steps;           // of the training
    int64_t now;             // of these since all rows were brought up to date
    int64_t count;           // rows read since the last step
    double first, second, epsilon;  // β₁, β₂, ε
    double kept;             // what a step's weight decay leaves of a weight
    double rate, root;       // bias-corrected: rate / (1 − β₁^t), √(1 − β₂^t)
    const int64_t* places;   // (M) rows to be read
    const double* sums;      // (now + 1) what to make up for, by when a row was up to date
    const double* decays;    // (now + 1) sums of the logarithms of `kept`, likewise
    int64_t* seen;           // (V) when a row was up to date; of one that is read −1 − its slot
    int64_t* slots;          // (V) the row of each slot
    const float* gradient;   // (count, E) by slot
    float *table, *mean, *square;  // (V, E)
};

// A row that has missed steps, and what they come to.
struct Late {
    int64_t row;
    float kept, moved, epsilon, mean, square;
};

// The kernels of one instruction set; each entry does one thread's share of the work.
struct TrainingKernels {
    // `scores`: working memory of cross_rows × the width rounded up to WIDEST_UNITS; `totals`: sums
    // of d over these tokens, as wide, zero before.
    void (*cross)(const Vocabulary& call, int64_t first_token, int64_t last_token, float* scores,
                  float* totals);
    void (*drop)(const Dropout& call, int64_t first, int64_t last);
    void (*pool)(const Pooling& call, int64_t first_sequence, int64_t last_sequence);
    void (*chains)(const Chain& call, const int32_t* share, int64_t count);
    // `sums`: of `ChainSums`, zero before.
    void (*chains_backward)(const Chain& call, const int32_t* share, int64_t count, double* sums);
    void (*look_up)(const Lookup& call, int64_t first_sum, int64_t last_sum);
    void (*add_up)(const Lookup& call, int64_t first_unit, int64_t last_unit);  // of the width
    void (*catch_up)(const Rows& call, const Late* late, int64_t first, int64_t last);
    void (*update)(const Rows& call, int64_t first_slot, int64_t last_slot);
};

}  // namespace seqcli
