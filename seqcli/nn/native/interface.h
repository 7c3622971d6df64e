// What Python and the kernels say to each other: plain C structs of shapes and pointers.
//
// A ragged batch is its tokens end to end; nothing is padded:
//
//     sequences   a b c | d e | f          token      0 1 2 3 4 5      N = 6 tokens
//     offsets     0       3     5   6      row of x   a b c d e f      B = 3 sequences
//
// Each sequence has its own clock. Step s of sequence b is token offsets[b] + s, or, in reverse,
// token offsets[b + 1] - 1 - s, so that reading backwards and unequal lengths cost nothing:
//
//     forward   step 0: a d f    step 1: b e .    step 2: c . .
//     reverse   step 0: c e f    step 1: b d .    step 2: a . .
//
// `inputs` holds the products of all tokens with W_ih, made by one matrix product before the call;
// the kernels add what depends on time. Everything that enters a matrix product has the "operand"
// type, float or bf16; states, gates and sums are float.
#pragma once

#include <cstdint>

namespace seqcli {

// RNN_RELU_TANH: relu in even steps, tanh in odd ones.
enum Kind : int64_t { RNN_TANH, RNN_RELU, LSTM, GRU, MINGRU, MINLSTM, RNN_RELU_TANH };

// One direction of one layer. H hidden units, G gates (rnn 1, lstm 4, gru 3, mingru 2, minlstm 3).
struct Recurrent {
    int64_t kind, batch, tokens, hidden;
    int64_t gradients;  // width of dgates in units of H (cells.h)
    int64_t reverse;    // 1: from each sequence's last token to its first
    int64_t bf16;       // 1: operands are bf16
    int64_t keep;       // 1: write what the backward pass needs
    int64_t dfirst;     // 1: the gradient of the first state is wanted
    int64_t threads;    // at most this many
    int64_t y_stride;   // floats from one token of y to the next
    int64_t dy_stride;  // the same of dy
    const int64_t* offsets;  // (B + 1)
    const void* inputs;      // (N, G·H) operand: x · W_ih, without biases
    const float* b_ih;       // (G·H)
    const float* b_hh;       // (G·H); null for the scans, which have one bias
    const void* panels;      // packed W_hh (panel.h); null for the scans
    const void* odd_panels;  // another matrix for steps 1, 3, 5, …; null where it is the same one
    const float* h_first;    // (B, H) state before step 0
    const float* c_first;    // (B, H) lstm
    // Forward writes, backward reads:
    float* y;       // (N, H) states h
    void* before;   // (N, H) operand: the state each token starts from
    void* gates;    // (N, G·H) gates after their activations, in the memory of `inputs`: float,
                    // or half for bf16 operands
    void* other;    // (N, H) lstm: c, float; gru: W_hn h' + b_hn, operand
    float* h_last;  // (B, H) state after the last step
    float* c_last;  // (B, H) lstm
    // Backward:
    const float* dy;  // (N, H), or null when only the last state was used
    void* dgates;     // operand gradients of the sums inside the gates; layouts in cells.h
    float* dbias;     // sums of dgates over all tokens
    float* dh;        // (B, H) in: gradient of h_last; out: of h_first
    float* dc;        // (B, H) in: gradient of c_last; out: of c_first
};

// The matrices that are packed into panels, and the products they serve.
enum Matrix : int64_t {
    HIDDEN,           // W_hh (G·H, H) of `kind`: the recurrent product
    HIDDEN_BACKWARD,  // the same in the backward pass
    ROWS_OF,          // W (width, depth): y = x W^T
    COLUMNS_OF,       // W (depth, width): y = x W
};

// A matrix to pack. For W_hh, depth is H and width G·H.
struct Packing {
    int64_t matrix, kind, width, depth, bf16, threads;
    const float* w;
    void* panels;
};

// y (N, width) = x (N, depth) · W + bias, W packed as ROWS_OF or COLUMNS_OF.
struct Linear {
    int64_t tokens, depth, width, bf16, threads;
    int64_t x_stride;   // operands from one token of x to the next
    int64_t y_operand;  // 1: y has the operand type; 0: float
    const void* x;      // operand
    const void* panels;
    const float* bias;  // (width), or null
    void* y;
};

// Texts to which a token is appended, and what counts say comes next (backoff.h); L lengths of runs.
struct Runs {
    int64_t rows, vocabulary, longest, threads;  // R, V, L
    const int64_t* sizes;        // (L) runs of each length
    const int64_t* const* keys;  // (L) of the runs of each length, rising
    const float* const* own;     // (L) what each run has for itself
    const float* const* rest;    // (L) what it leaves to the shorter one, by the run before
    const int64_t* tokens;       // (R)
    int64_t* runs;               // (R, L - 1) at the ends of the texts, of each length; or -1
    float* chances;              // (R, V)
};

// The `count` likeliest tokens of a vocabulary for each row (choice.h): scores x W^T + bias, W
// (width, depth) packed as ROWS_OF.
struct Choice {
    int64_t rows, depth, width, count, bf16, threads;
    int64_t x_stride;   // operands from one row of x to the next
    int64_t without;    // a token that is not to be chosen, though it has its share; or -1
    const void* x;      // (R, depth) operand
    const void* panels;
    const float* bias;  // (width), or null
    float* logs;        // (R, count) log-probabilities, best first; of equals the lower token
    int64_t* tokens;    // (R, count)
};
constexpr int64_t CHOICE_SPAN = 256;  // columns, a multiple of any panel of `linear`

// What a row's scores s of one span come to: the most of them and Σ exp(s - most).
struct Mass {
    float most, sum;
};
struct Candidate {
    float score;
    int64_t token;
};

// Attention: M queries over N keys, D features each, with N values of E features.
struct Attention {
    int64_t batch, depth, width, threads;  // depth D, width E
    const int64_t* queries;  // (B + 1) offsets of the queries
    const int64_t* keys;     // (B + 1) offsets of the keys and values
    const int64_t* pairs;    // (B + 1) offsets of the weights: running sums of M_b · N_b
    const float *q, *k, *v;  // (M, D), (N, D), (N, E)
    const float* energy;     // (D) of additive attention, or null: dot products
    float* weights;          // (pairs) (M_b, N_b) of each sequence
    float* context;          // (M, E)
    // Backward:
    const float* dcontext;   // (M, E)
    float* dscores;          // (pairs) working memory
    float *dq, *dk, *dv;
    float* denergy;          // (B, D) what each sequence adds
};

// The kernels of one instruction set; each entry does one thread's share of the work.
struct Kernels {
    const char* name;
    bool bf16;
    int64_t (*blocks)(const Packing& call);          // number of panels
    int64_t (*block_elements)(const Packing& call);  // operands in each
    void (*pack)(const Packing& call, int64_t first_block, int64_t last_block);
    int64_t (*linear_units)(const Linear& call);  // units of work
    void (*linear)(const Linear& call, int64_t first_unit, int64_t last_unit);
    // `scores`: working memory of LINEAR_TOKENS × CHOICE_SPAN; `masses` (spans, R); `found` (R,
    // count) of these spans alone.
    void (*choose)(const Choice& call, int64_t first_span, int64_t last_span, float* scores,
                   Mass* masses, Candidate* found);
    // `share` lists the sequences to run, longest first.
    void (*forward)(const Recurrent& call, const int32_t* share, int64_t count);
    // `totals`: sums of the share's dgates, zero before.
    void (*backward)(const Recurrent& call, const int32_t* share, int64_t count, float* totals);
    // `share` lists pairs of a sequence and a block of `scan_units`, as sequence · blocks + block.
    void (*scan_forward)(const Recurrent& call, const int32_t* share, int64_t count);
    void (*scan_backward)(const Recurrent& call, const int32_t* share, int64_t count,
                          float* totals);
    void (*attend_forward)(const Attention& call, const int32_t* share, int64_t count);
    void (*attend_backward)(const Attention& call, const int32_t* share, int64_t count);
};

// How many units of a sequence a thread takes at once in a scan: many, since memory is read fastest
// from end to end, but fewer where the sequences alone do not keep all threads busy. (Static: see
// kernels.cpp.)
constexpr int64_t MOST_SCAN_UNITS = 256, LEAST_SCAN_UNITS = 64;
template <class Call>
static int64_t scan_blocks(const Call& call, int64_t units) {
    return (call.hidden + units - 1) / units;
}
template <class Call>
static int64_t scan_units(const Call& call) {
    int64_t units = MOST_SCAN_UNITS;
    while (units > LEAST_SCAN_UNITS && call.batch * scan_blocks(call, units) < call.threads)
        units /= 2;
    return units;
}
constexpr int64_t LINEAR_TOKENS = 96;

}  // namespace seqcli
