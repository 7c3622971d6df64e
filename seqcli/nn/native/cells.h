// The equations of each cell at one token and one vector of units, forward and backward, with the
// gate order and the biases of torch.nn. σ is the sigmoid; a dash is the state before the token.
// `input` is W_ih x + b_ih, `hidden` is W_hh h' + b_hh, one vector a gate.
//
// Forward functions take the rows of a tile together and end a loop over them where an exponential
// must be known before the next: the long chains of different rows then overlap.
//
//     rnn    h = tanh(input + hidden)  or  relu  or both in turn, relu first
//     lstm   i, f, o = σ(input + hidden);  g = tanh(input + hidden)
//            c = f c' + i g;  h = o tanh(c)
//     gru    r, z = σ(input + hidden);  q = hidden_n;  n = tanh(input_n + r q)
//            h = (1 - z) n + z h'
//
// `fetch_new` and `fetch_kept` ask early for the memory that a forward function will write beside y,
// and that a backward function will read.
//
// A backward function fills `d`, the gradients of the sums inside the gates, and returns the part
// of dh' that does not pass through W_hh. Columns of `dgates`, in units of H: the recurrent product
// of the backward pass and the gradient of W_hh read the first GATES of them, the gradients of x
// and W_ih the last GATES:
//
//     rnn    da                lstm   di df dg do
//     gru    dq | dr dz | dn       (dq = r dn, since r stands between W_hn h' and n)
#pragma once

#include "interface.h"
#include "panel.h"

namespace seqcli {
namespace SEQCLI_ISA {

// Where an equation is applied: a token, its neighbours in time, and a vector of units.
struct Place {
    int64_t sequence, token, step;
    int64_t previous, next;  // tokens; -1 where the sequence begins or ends
    int64_t unit;            // first unit of the vector
    int lanes;               // how many of its units exist
};

INLINE const float* state_before(const Recurrent& call, const Place& at) {
    return at.previous < 0 ? call.h_first + at.sequence * call.hidden + at.unit
                           : call.y + at.previous * call.y_stride + at.unit;
}

// What is kept for the backward pass: gates with float operands, halves with bf16 ones.
template <class T>
struct KeptType;
template <>
struct KeptType<float> {
    using Gate = float;
    using Sum = float;
};
template <>
struct KeptType<Bf16> {
    using Gate = Half;
    using Sum = Bf16;  // unlike a gate it may be large
};

enum class Squash { TANH, RELU, RELU_TANH };

template <Squash SQUASH>
struct Rnn {
    static constexpr int GATES = 1, GRADIENTS = 1;
    static constexpr int UNITS = 4;         // vectors of units in a forward tile
    static constexpr bool CARRIES = false;  // is there a path from h to h' around W_hh?
    static int64_t gate_of_column(int64_t column) { return column; }

    static INLINE bool rectifies(const Place& at) {
        return SQUASH == Squash::RELU || (SQUASH == Squash::RELU_TANH && at.step % 2 == 0);
    }

    template <class T, class Sums>
    static INLINE void forward(const Recurrent&, const Place* places, int rows, const Sums& sums,
                               Vec* h) {
        for (int r = 0; r < rows; ++r) {
            const Vec a = sums.input(r, 0) + sums.hidden(r, 0);
            if (rectifies(places[r])) h[r] = a < 0.f ? Vec{} : a;
            else h[r] = tanh(a);
        }
    }

    template <class T>
    static INLINE void fetch_new(const Recurrent&, const Place&) {}

    template <class T>
    static INLINE void fetch_kept(const Recurrent& call, const Place& at) {
        fetch(call.y + at.token * call.y_stride + at.unit);
    }

    template <class T>
    static INLINE Vec backward(const Recurrent& call, const Place& at, Vec dh, Vec* d) {
        const Vec h = load(call.y + at.token * call.y_stride + at.unit, at.lanes);
        if (rectifies(at)) d[0] = h > 0.f ? dh : Vec{};
        else d[0] = dh * (1.f - h * h);
        return Vec{};
    }
};

struct Lstm {
    static constexpr int GATES = 4, GRADIENTS = 4, UNITS = 1;
    static constexpr bool CARRIES = false;
    static int64_t gate_of_column(int64_t column) { return column; }

    template <class T>
    static INLINE auto gates_at(const Recurrent& call, const Place& at) {
        using Gate = typename KeptType<T>::Gate;
        return static_cast<Gate*>(call.gates) + at.token * 4 * call.hidden + at.unit;
    }
    // c of every token is kept for the backward pass, or carried in c_last if nothing is kept.
    static INLINE float* cell_at(const Recurrent& call, const Place& at, int64_t token) {
        return call.keep ? static_cast<float*>(call.other) + token * call.hidden + at.unit
                         : call.c_last + at.sequence * call.hidden + at.unit;
    }
    static INLINE const float* cell_before(const Recurrent& call, const Place& at) {
        return at.previous < 0 ? call.c_first + at.sequence * call.hidden + at.unit
                               : cell_at(call, at, at.previous);
    }

    template <class T, class Sums>
    static INLINE void forward(const Recurrent& call, const Place* places, int rows,
                               const Sums& sums, Vec* h) {
        const int64_t H = call.hidden;
        Vec c[ROWS], o[ROWS];
        for (int r = 0; r < rows; ++r) {
            const Place& at = places[r];
            const Vec i = sigmoid(sums.input(r, 0) + sums.hidden(r, 0));
            const Vec f = sigmoid(sums.input(r, 1) + sums.hidden(r, 1));
            const Vec g = tanh(sums.input(r, 2) + sums.hidden(r, 2));
            o[r] = sigmoid(sums.input(r, 3) + sums.hidden(r, 3));
            c[r] = fma(f, load(cell_before(call, at), at.lanes), i * g);
            store(cell_at(call, at, at.token), c[r], at.lanes);
            if (!call.keep) continue;
            auto* gates = gates_at<T>(call, at);
            store(gates, i, at.lanes);
            store(gates + H, f, at.lanes);
            store(gates + 2 * H, g, at.lanes);
            store(gates + 3 * H, o[r], at.lanes);
        }
        for (int r = 0; r < rows; ++r) h[r] = o[r] * tanh(c[r]);
    }

    template <class T>
    static INLINE void fetch_new(const Recurrent& call, const Place& at) {
        fetch_to_write(cell_at(call, at, at.token));
    }

    template <class T>
    static INLINE void fetch_kept(const Recurrent& call, const Place& at) {
        for (int g = 0; g < 4; ++g) fetch(gates_at<T>(call, at) + g * call.hidden);
        fetch(cell_at(call, at, at.token));
        fetch(cell_before(call, at));
    }

    template <class T>
    static INLINE Vec backward(const Recurrent& call, const Place& at, Vec dh, Vec* d) {
        const int64_t H = call.hidden;
        const auto* gates = gates_at<T>(call, at);
        const Vec i = load(gates, at.lanes), f = load(gates + H, at.lanes);
        const Vec g = load(gates + 2 * H, at.lanes), o = load(gates + 3 * H, at.lanes);
        const Vec tanh_c = tanh(load(cell_at(call, at, at.token), at.lanes));
        const Vec c_before = load(cell_before(call, at), at.lanes);
        float* carried = call.dc + at.sequence * H + at.unit;
        const Vec dc = fma(dh * o, 1.f - tanh_c * tanh_c, load(carried, at.lanes));
        store(carried, dc * f, at.lanes);
        d[0] = dc * g * (i * (1.f - i));
        d[1] = dc * c_before * (f * (1.f - f));
        d[2] = dc * i * (1.f - g * g);
        d[3] = dh * tanh_c * (o * (1.f - o));
        return Vec{};
    }
};

struct Gru {
    static constexpr int GATES = 3, GRADIENTS = 4, UNITS = 1;
    static constexpr bool CARRIES = true;
    static int64_t gate_of_column(int64_t column) { return (column + 2) % 3; }  // dq dr dz → n r z

    template <class T>
    static INLINE auto gates_at(const Recurrent& call, const Place& at) {
        using Gate = typename KeptType<T>::Gate;
        return static_cast<Gate*>(call.gates) + at.token * 3 * call.hidden + at.unit;
    }
    template <class T>
    static INLINE auto q_at(const Recurrent& call, const Place& at) {
        using Sum = typename KeptType<T>::Sum;
        return static_cast<Sum*>(call.other) + at.token * call.hidden + at.unit;
    }

    template <class T, class Sums>
    static INLINE void forward(const Recurrent& call, const Place* places, int rows,
                               const Sums& sums, Vec* h) {
        const int64_t H = call.hidden;
        Vec z[ROWS], a[ROWS];
        for (int row = 0; row < rows; ++row) {
            const Place& at = places[row];
            const Vec r = sigmoid(sums.input(row, 0) + sums.hidden(row, 0));
            const Vec q = sums.hidden(row, 2);
            z[row] = sigmoid(sums.input(row, 1) + sums.hidden(row, 1));
            a[row] = fma(r, q, sums.input(row, 2));
            if (!call.keep) continue;
            store(gates_at<T>(call, at), r, at.lanes);
            store(gates_at<T>(call, at) + H, z[row], at.lanes);
            store(q_at<T>(call, at), q, at.lanes);
        }
        for (int row = 0; row < rows; ++row) {
            const Place& at = places[row];
            const Vec n = tanh(a[row]);
            if (call.keep) store(gates_at<T>(call, at) + 2 * H, n, at.lanes);
            h[row] = fma(z[row], load(state_before(call, at), at.lanes) - n, n);
        }
    }

    template <class T>
    static INLINE void fetch_new(const Recurrent& call, const Place& at) {
        if (call.keep) fetch_to_write(q_at<T>(call, at));
    }

    template <class T>
    static INLINE void fetch_kept(const Recurrent& call, const Place& at) {
        for (int g = 0; g < 3; ++g) fetch(gates_at<T>(call, at) + g * call.hidden);
        fetch(q_at<T>(call, at));
        fetch(state_before(call, at));
    }

    template <class T>
    static INLINE Vec backward(const Recurrent& call, const Place& at, Vec dh, Vec* d) {
        const int64_t H = call.hidden;
        const auto* gates = gates_at<T>(call, at);
        const Vec r = load(gates, at.lanes), z = load(gates + H, at.lanes);
        const Vec n = load(gates + 2 * H, at.lanes), q = load(q_at<T>(call, at), at.lanes);
        const Vec h_before = load(state_before(call, at), at.lanes);
        const Vec dn = dh * (1.f - z) * (1.f - n * n);
        d[0] = dn * r;
        d[1] = dn * q * (r * (1.f - r));
        d[2] = dh * (h_before - n) * (z * (1.f - z));
        d[3] = dn;
        return dh * z;
    }
};

}  // namespace SEQCLI_ISA
}  // namespace seqcli
