/* Value, gradient and curvature of the Chinchilla law under a Huber loss on log loss, written by hand.
 *
 * The yardstick for isoloss's general programs: everything of one law in one loop, eight problems to a vector, all
 * sums in registers or next to them. Coordinates are e = ln E, a = ln A, alpha, b = ln B, beta; the residual is
 *
 *     r = ln p - y,   p = exp(e) + exp(a - alpha x1) + exp(b - beta x2)
 *
 * With the shares q = term / p the slope of r is J = (q0, q1, -q1 x1, q2, -q2 x2), and its second derivatives are
 * those of p over p minus J J^T. Vectors of 8 doubles are GCC's (one AVX-512 register, or two of AVX2); where AVX-512
 * is at hand, its own instructions split and scale exponents. */

#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

typedef double v8 __attribute__((vector_size(64)));
typedef int64_t i8 __attribute__((vector_size(64)));

static inline v8 all(double x) { return (v8){x, x, x, x, x, x, x, x}; }
static inline v8 choose(i8 mask, v8 a, v8 b) { return (v8)(((i8)a & mask) | ((i8)b & ~mask)); }

/* exp by x = k ln 2 + r and Taylor's series to degree 12 in Estrin's form; to about 1 ulp for |x| < 700. */
static inline v8 expv(v8 x) {
    const v8 shift = all(0x1.8p52);
    v8 t = x * all(0x1.71547652b82fep0);
#ifdef __AVX512F__
    v8 k = (v8)_mm512_roundscale_pd((__m512d)t, 8);
#else
    v8 moved = t + shift, k = moved - shift;
#endif
    v8 r = x - k * all(0x1.62e42fefa39efp-1);
    r = r - k * all(0x1.abc9e3b39803fp-56);
    v8 r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    v8 p01 = r + all(1.0);
    v8 p23 = r * all(1.0 / 6) + all(0.5);
    v8 p45 = r * all(1.0 / 120) + all(1.0 / 24);
    v8 p67 = r * all(1.0 / 5040) + all(1.0 / 720);
    v8 p89 = r * all(1.0 / 362880) + all(1.0 / 40320);
    v8 pab = r * all(1.0 / 39916800) + all(1.0 / 3628800);
    v8 low = (p67 * r2 + p45) * r4 + (p23 * r2 + p01);
    v8 high = all(1.0 / 479001600) * r4 + (pab * r2 + p89);
    v8 y = high * r8 + low;
#ifdef __AVX512F__
    (void)shift;
    return (v8)_mm512_scalef_pd((__m512d)y, (__m512d)k);
#else
    return (v8)((i8)y + ((i8)moved << 52));
#endif
}

/* ln of a normal number by x = 2^k m with m in [1/sqrt 2, sqrt 2) and the series of atanh; to about 1 ulp. */
static inline v8 logv(v8 x) {
#ifdef __AVX512F__
    v8 k = (v8)_mm512_getexp_pd((__m512d)(x * all(0x1.6a09e667f3bcdp0)));
    v8 m = (v8)_mm512_scalef_pd((__m512d)x, (__m512d)(-k));
#else
    i8 bits = (i8)x, raw = bits - (int64_t)0x3fe6a09e667f3bcd;
    i8 e = raw >> 52;
    v8 m = (v8)(bits - (e << 52));
    v8 k = __builtin_convertvector(e, v8);
#endif
    v8 f = m - all(1.0), s = f / (m + all(1.0)), s2 = s * s, s4 = s2 * s2, s8 = s4 * s4;
    v8 a = s2 * all(2.0 / 5) + all(2.0 / 3);
    v8 b = s2 * all(2.0 / 9) + all(2.0 / 7);
    v8 c = s2 * all(2.0 / 13) + all(2.0 / 11);
    v8 d = s2 * all(2.0 / 17) + all(2.0 / 15);
    v8 series = ((d * s4 + c) * s8 + (b * s4 + a)) * s2 + all(2.0);
    return k * all(0x1.62e42fefa39efp-1) + s * series;
}

/* theta: 5 x 8; x1, x2, y: n (shared); w: n x 8; out: value, 5 of the gradient, 15 of the packed lower triangle, x 8. */
void fused(long n, const double *x1, const double *x2, const double *y, const double *w, double delta_,
           const double *theta, double *out) {
    const v8 *t = (const v8 *)theta, *weight = (const v8 *)w;
    const v8 floor = expv(t[0]), a = t[1], alpha = t[2], b = t[3], beta = t[4];
    const v8 delta = all(delta_), zero = all(0.0);
    v8 value = zero, g0 = zero, g1 = zero, g2 = zero, g3 = zero, g4 = zero, bend1 = zero, bend2 = zero;
    v8 h[15];
    for (int j = 0; j < 15; j++) h[j] = zero;
    for (long i = 0; i < n; i++) {
        v8 u = all(x1[i]), v = all(x2[i]);
        v8 p1 = expv(a - alpha * u), p2 = expv(b - beta * v);
        v8 p = floor + p1 + p2, over = all(1.0) / p;
        v8 r = logv(p) - all(y[i]);
        v8 size = (v8)((i8)r & INT64_MAX);
        i8 inside = size <= delta;
        v8 cut = choose(inside, size, delta);
        value += weight[i] * cut * (size - all(0.5) * cut);
        v8 c2 = weight[i] * (v8)((i8)cut | ((i8)r & INT64_MIN));
        v8 c = (v8)((i8)weight[i] & inside) - c2;
        v8 q0 = floor * over, q1 = p1 * over, q2 = p2 * over, q1u = q1 * u, q2v = q2 * v;
        g0 += c2 * q0;
        g1 += c2 * q1;
        g2 += c2 * q1u;
        g3 += c2 * q2;
        g4 += c2 * q2v;
        bend1 += c2 * q1u * u;
        bend2 += c2 * q2v * v;
        v8 k0 = c * q0, k1 = c * q1, k1u = c * q1u, k2 = c * q2, k2v = c * q2v;
        h[0] += k0 * q0;
        h[1] += k0 * q1;
        h[2] += k1 * q1;
        h[3] += k0 * q1u;
        h[4] += k1 * q1u;
        h[5] += k1u * q1u;
        h[6] += k0 * q2;
        h[7] += k1 * q2;
        h[8] += k1u * q2;
        h[9] += k2 * q2;
        h[10] += k0 * q2v;
        h[11] += k1 * q2v;
        h[12] += k1u * q2v;
        h[13] += k2 * q2v;
        h[14] += k2v * q2v;
    }
    v8 *o = (v8 *)out;
    o[0] = value;
    o[1] = g0, o[2] = g1, o[3] = -g2, o[4] = g3, o[5] = -g4;
    o[6] = h[0] + g0;
    o[7] = h[1], o[8] = h[2] + g1;
    o[9] = -h[3], o[10] = -(h[4] + g2), o[11] = h[5] + bend1;
    o[12] = h[6], o[13] = h[7], o[14] = -h[8], o[15] = h[9] + g3;
    o[16] = -h[10], o[17] = -h[11], o[18] = h[12], o[19] = -(h[13] + g4), o[20] = h[14] + bend2;
}

/* As `fused`, `repeats` times; each time starts from parameters that depend on the last, so that nothing is hoisted. */
void fused_often(long repeats, long n, const double *x1, const double *x2, const double *y, const double *w,
                 double delta, double *theta, double *out) {
    for (long k = 0; k < repeats; k++) {
        fused(n, x1, x2, y, w, delta, theta, out);
        for (int lane = 0; lane < 8; lane++) theta[lane] += 1e-30 * out[lane];
    }
}
