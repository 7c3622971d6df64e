// The equations of each cell at one token and one vector of units, forward and backward, with the
// gate order and the biases of torch.nn. σ is the sigmoid; a dash is the state before the token.
//
//     rnn    h = tanh(a)  or  relu(a),      a = W_ih x + b_ih + W_hh h' + b_hh
//     lstm   i, f, o = σ(a_i), σ(a_f), σ(a_o);  g = tanh(a_g);  c = f c' + i g;  h = o tanh(c)
//     gru    r, z = σ(a_r), σ(a_z);  q = W_hn h' + b_hn;  n = tanh(a_xn + r q)
//            h = (1 - z) n + z h'
//
// Columns of `dgates`, in units of H. The recurrent product of the backward pass and the gradient
// of W_hh read the first HIDDEN of them, the gradients of x and W_ih the last GATES:
//
//     rnn    da                lstm   di df dg do
//     gru    dq | dr dz | dn       (dq = r dn, since r stands between W_hn h' and n)
#pragma once

#include "interface.h"
#include "panel.h"

namespace seqcli {
namespace SEQCLI_ISA {

// Where a tile works: a token, the one before it in time, and a vector of units.
struct Place {
    int64_t sequence, token, previous;  // previous is -1 at step 0
    int64_t unit;                       // first unit of the vector
    int lanes;                          // how many of its units exist
};

INLINE const float* state_before(const Recurrent& call, const Place& at) {
    return at.previous < 0 ? call.h_first + at.sequence * call.hidden + at.unit
                           : call.y + at.previous * call.y_stride + at.unit;
}

template <bool RELU>
struct Rnn {
    static constexpr int GATES = 1, UNITS = 4, GRADIENTS = 1, HIDDEN = 1;
    static constexpr bool CARRIES = false;  // is there a path from h to h' around W_hh?
    static int gate_of_hidden(int k) { return k; }

    template <class T>
    static INLINE Vec forward(const Recurrent&, const Place&, const Vec* a, const T*) {
        if constexpr (RELU) return a[0] < 0.f ? Vec{} : a[0];
        else return tanh(a[0]);
    }

    template <class T>
    static INLINE Vec backward(const Recurrent& call, const Place& at, Vec dh, T* d) {
        const Vec h = load(call.y + at.token * call.y_stride + at.unit, at.lanes);
        if constexpr (RELU) store(d, h > 0.f ? dh : Vec{}, at.lanes);
        else store(d, dh * (1.f - h * h), at.lanes);
        return Vec{};
    }
};

struct Lstm {
    static constexpr int GATES = 4, UNITS = 1, GRADIENTS = 4, HIDDEN = 4;
    static constexpr bool CARRIES = false;
    static int gate_of_hidden(int k) { return k; }

    // c is kept a token for the backward pass, or carried in c_last when nothing is kept.
    static INLINE float* cell_at(const Recurrent& call, const Place& at, int64_t token) {
        return call.keep ? call.other + token * call.hidden + at.unit
                         : call.c_last + at.sequence * call.hidden + at.unit;
    }
    static INLINE const float* cell_before(const Recurrent& call, const Place& at) {
        return at.previous < 0 ? call.c_first + at.sequence * call.hidden + at.unit
                               : cell_at(call, at, at.previous);
    }

    template <class T>
    static INLINE Vec forward(const Recurrent& call, const Place& at, const Vec* a, const T*) {
        const int64_t H = call.hidden;
        const Vec i = sigmoid(a[0]), f = sigmoid(a[1]), g = tanh(a[2]), o = sigmoid(a[3]);
        const Vec c = fma(f, load(cell_before(call, at), at.lanes), i * g);
        store(cell_at(call, at, at.token), c, at.lanes);
        if (call.keep) {
            float* gates = call.gates + at.token * 4 * H + at.unit;
            store(gates, i, at.lanes);
            store(gates + H, f, at.lanes);
            store(gates + 2 * H, g, at.lanes);
            store(gates + 3 * H, o, at.lanes);
        }
        return o * tanh(c);
    }

    template <class T>
    static INLINE Vec backward(const Recurrent& call, const Place& at, Vec dh, T* d) {
        const int64_t H = call.hidden;
        const float* gates = call.gates + at.token * 4 * H + at.unit;
        const Vec i = load(gates, at.lanes), f = load(gates + H, at.lanes);
        const Vec g = load(gates + 2 * H, at.lanes), o = load(gates + 3 * H, at.lanes);
        const Vec tanh_c = tanh(load(cell_at(call, at, at.token), at.lanes));
        float* carried = call.dc + at.sequence * H + at.unit;
        const Vec dc = fma(dh * o, 1.f - tanh_c * tanh_c, load(carried, at.lanes));
        const Vec c_before = load(cell_before(call, at), at.lanes);
        store(carried, dc * f, at.lanes);
        store(d, dc * g * (i * (1.f - i)), at.lanes);
        store(d + H, dc * c_before * (f * (1.f - f)), at.lanes);
        store(d + 2 * H, dc * i * (1.f - g * g), at.lanes);
        store(d + 3 * H, dh * tanh_c * (o * (1.f - o)), at.lanes);
        return Vec{};
    }
};

struct Gru {
    static constexpr int GATES = 3, UNITS = 1, GRADIENTS = 4, HIDDEN = 3;
    static constexpr bool CARRIES = true;
    static int gate_of_hidden(int k) { return k == 0 ? 2 : k - 1; }  // dq dr dz → n r z

    // a[2] is q: the walk starts it from b_hn alone, because r gates it before it meets the input.
    template <class T>
    static INLINE Vec forward(const Recurrent& call, const Place& at, const Vec* a,
                              const T* input_n) {
        const int64_t H = call.hidden;
        const Vec r = sigmoid(a[0]), z = sigmoid(a[1]), q = a[2];
        const Vec x = load(input_n, at.lanes) + load(call.b_ih + 2 * H + at.unit, at.lanes);
        const Vec n = tanh(fma(r, q, x));
        if (call.keep) {
            float* gates = call.gates + at.token * 3 * H + at.unit;
            store(gates, r, at.lanes);
            store(gates + H, z, at.lanes);
            store(gates + 2 * H, n, at.lanes);
            store(call.other + at.token * H + at.unit, q, at.lanes);
        }
        return fma(z, load(state_before(call, at), at.lanes) - n, n);
    }

    template <class T>
    static INLINE Vec backward(const Recurrent& call, const Place& at, Vec dh, T* d) {
        const int64_t H = call.hidden;
        const float* gates = call.gates + at.token * 3 * H + at.unit;
        const Vec r = load(gates, at.lanes), z = load(gates + H, at.lanes);
        const Vec n = load(gates + 2 * H, at.lanes);
        const Vec q = load(call.other + at.token * H + at.unit, at.lanes);
        const Vec h_before = load(state_before(call, at), at.lanes);
        const Vec dn = dh * (1.f - z) * (1.f - n * n);
        store(d, dn * r, at.lanes);
        store(d + H, dn * q * (r * (1.f - r)), at.lanes);
        store(d + 2 * H, dh * (h_before - n) * (z * (1.f - z)), at.lanes);
        store(d + 3 * H, dn, at.lanes);
        return dh * z;
    }
};

}  // namespace SEQCLI_ISA
}  // namespace seqcli
