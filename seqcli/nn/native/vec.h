// The one place that knows vector instructions: a vector of LANES floats and the few operations
// the kernels need. Arithmetic is the compiler's own (+ - * / on vector types), so this file also
// serves Arm and any other processor; intrinsics appear only where no portable form exists.
//
// Multiply-adds are written out as `fma` and never left to the compiler's choice
// (-ffp-contract=off): a sequence must give the same bits whichever rows share its tile.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define INLINE_LAMBDA __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

namespace seqcli {
namespace SEQCLI_ISA {

// ROWS: how many sequences share a register tile of up to 4 vectors a row (of 32 or 16 registers).
#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 6;
#elif defined(__AVX2__)
constexpr int LANES = 8, ROWS = 3;
#elif defined(__ARM_NEON) && defined(__aarch64__)
constexpr int LANES = 4, ROWS = 6;
#else
constexpr int LANES = 4, ROWS = 3;
#endif

typedef float Vec __attribute__((vector_size(4 * LANES)));
typedef int32_t Int __attribute__((vector_size(4 * LANES)));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
typedef float AnyVec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE Vec broadcast(float x) { return x - Vec{}; }
INLINE Vec load(const float* p) { return *reinterpret_cast<const AnyVec*>(p); }
INLINE void store(float* p, Vec x) { *reinterpret_cast<AnyVec*>(p) = x; }

// Ask for the memory at p before it is needed.
INLINE void fetch(const void* p) { __builtin_prefetch(p); }
// The same where it is only to be written.
INLINE void fetch_to_write(const void* p) { __builtin_prefetch(p, 1); }

// The first `lanes` floats at p, at most LANES; zeros behind.
#if defined(__AVX512F__)
INLINE __mmask16 first(int lanes) { return static_cast<__mmask16>((1u << lanes) - 1); }
INLINE Vec load(const float* p, int lanes) { return _mm512_maskz_loadu_ps(first(lanes), p); }
INLINE void store(float* p, Vec x, int lanes) { _mm512_mask_storeu_ps(p, first(lanes), x); }
#else
INLINE Vec load(const float* p, int lanes) {
    if (lanes == LANES) return load(p);
    float part[LANES] = {};
    memcpy(part, p, sizeof(float) * lanes);
    return load(part);
}

INLINE void store(float* p, Vec x, int lanes) {
    if (lanes == LANES) store(p, x);
    else memcpy(p, &x, sizeof(float) * lanes);
}
#endif

// a · b + c
INLINE Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
    return _mm256_fmadd_ps(a, b, c);
#elif defined(__ARM_NEON) && defined(__aarch64__)
    return vfmaq_f32(c, a, b);
#else
    return a * b + c;
#endif
}

INLINE Vec sqrt(Vec x) {
#if defined(__AVX512F__)
    return _mm512_sqrt_ps(x);
#elif defined(__AVX2__)
    return _mm256_sqrt_ps(x);
#elif defined(__ARM_NEON) && defined(__aarch64__)
    return vsqrtq_f32(x);
#else
    for (int i = 0; i < LANES; ++i) x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
}

// The larger or smaller of two; NaN in x stays.
INLINE Vec at_least(float low, Vec x) {
#if defined(__AVX512F__)
    return _mm512_max_ps(broadcast(low), x);
#else
    return low > x ? broadcast(low) : x;
#endif
}
INLINE Vec at_most(float high, Vec x) {
#if defined(__AVX512F__)
    return _mm512_min_ps(broadcast(high), x);
#else
    return high < x ? broadcast(high) : x;
#endif
}

// Is any lane above a limit? NaN is not.
INLINE bool any_above(Vec x, float limit) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask(x, broadcast(limit), _CMP_GT_OQ) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_ps(_mm256_cmp_ps(x, broadcast(limit), _CMP_GT_OQ)) != 0;
#else
    for (int i = 0; i < LANES; ++i)
        if (x[i] > limit) return true;
    return false;
#endif
}

constexpr float LOG2_E = 1.44269504f;

// 2^t to 2e-7, t clamped to ±126 so that neither it nor its reciprocal overflows; NaN stays NaN.
INLINE Vec exp2(Vec t) {
    t = at_most(126.f, at_least(-126.f, t));
    // t = n + f: adding 1.5 · 2^23 rounds to the integer n and leaves it in the low bits.
    const Vec shifted = t + 12582912.f;
    const Vec f = t - (shifted - 12582912.f);
    // 2^f on [-1/2, 1/2] by a polynomial of degree 5 (least relative error), in pairs.
    const Vec f2 = f * f;
    const Vec low = fma(broadcast(6.9314697760e-1f), f, broadcast(1.f));
    const Vec middle = fma(broadcast(5.5507337372e-2f), f, broadcast(2.4022242085e-1f));
    const Vec high = fma(broadcast(1.3264729096e-3f), f, broadcast(9.6715126398e-3f));
    const Vec power = reinterpret_cast<Vec>((reinterpret_cast<Int>(shifted) << 23) + 0x3f800000);
    return fma(fma(high, f2, middle), f2, low) * power;
}

INLINE Vec exp(Vec x) { return exp2(x * LOG2_E); }

// 1 / x to the last bit or two.
INLINE Vec reciprocal(Vec x) {
#if defined(__AVX512F__)
    const Vec guess = _mm512_rcp14_ps(x);
    return fma(guess, fma(-guess, x, broadcast(1.f)), guess);
#else
    return 1.f / x;
#endif
}

INLINE Vec sigmoid(Vec x) { return reciprocal(1.f + exp2(x * -LOG2_E)); }
INLINE Vec tanh(Vec x) {
    return fma(broadcast(2.f), reciprocal(1.f + exp2(x * (-2.f * LOG2_E))), broadcast(-1.f));
}

INLINE void add_to(float* p, Vec x, int lanes) { store(p, load(p, lanes) + x, lanes); }

// The sum of all lanes, pairwise.
INLINE float total(Vec x) {
    float part[LANES];
    store(part, x);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) part[i] += part[i + half];
    return part[0];
}

// How many of the LANES numbers from `at` on exist, of `size`.
INLINE int lanes_from(int64_t at, int64_t size) {
    return size - at < LANES ? static_cast<int>(size - at) : LANES;
}

// Turn rows into columns: LANES vectors, in place.
INLINE void transpose(Vec* rows) {
    float square[LANES][LANES];
    for (int i = 0; i < LANES; ++i) store(square[i], rows[i]);
    for (int i = 0; i < LANES; ++i)
        for (int j = 0; j < LANES; ++j) rows[i][j] = square[j][i];
}

// ---- 16-bit numbers ----

// bf16, the operand of fast products: the upper half of a float.
struct Bf16 {
    uint16_t bits;
};
// IEEE half, for gates kept until the backward pass: in [-1, 1] it is eight times finer than bf16.
struct Half {
    uint16_t bits;
};

// What products are made of: `Column` holds DEPTH neighbours in the depth of a product in each lane.
template <class T>
struct Operand;

template <>
struct Operand<float> {
    using Column = Vec;
    static constexpr int DEPTH = 1;
    static INLINE Column load_column(const float* p) { return load(p); }
    static INLINE Column broadcast_column(const float* p) { return broadcast(*p); }
    static INLINE Column broadcast_last(const float* p) { return broadcast(*p); }
    static INLINE void store_column(float* p, const Vec* depths) { store(p, depths[0]); }
    static INLINE Vec multiply_add(Column a, Column b, Vec sum) { return fma(a, b, sum); }
};

#if defined(__AVX512BF16__)
constexpr bool HAS_BF16 = true;

INLINE Vec load(const Bf16* p, int lanes) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first(lanes), p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
INLINE void store(Bf16* p, Vec x, int lanes) {
    const auto narrow = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
    _mm256_mask_storeu_epi16(p, first(lanes), narrow);
}
INLINE Vec load(const Half* p, int lanes) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(lanes), p));
}
INLINE void store(Half* p, Vec x, int lanes) {
    _mm256_mask_storeu_epi16(p, first(lanes), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

template <>
struct Operand<Bf16> {
    using Column = Int;
    static constexpr int DEPTH = 2;
    static INLINE Column load_column(const Bf16* p) {
        return reinterpret_cast<Int>(_mm512_loadu_si512(p));
    }
    static INLINE Column broadcast_column(const Bf16* p) {
        int32_t pair;
        memcpy(&pair, p, sizeof pair);
        return pair - Int{};
    }
    // Of an odd depth: the other half is zero.
    static INLINE Column broadcast_last(const Bf16* p) { return int32_t{p->bits} - Int{}; }
    static INLINE void store_column(Bf16* p, const Vec* depths) {
        const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(depths[1], depths[0]));
        const __m512i order = _mm512_set_epi16(  //
            31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,  //
            23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
        _mm512_storeu_si512(p, _mm512_permutexvar_epi16(order, both));
    }
    // sum + a[even] · b[even] + a[odd] · b[odd]
    static INLINE Vec multiply_add(Column a, Column b, Vec sum) {
        return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
    }
};
#else
constexpr bool HAS_BF16 = false;
#endif

}  // namespace SEQCLI_ISA
}  // namespace seqcli
