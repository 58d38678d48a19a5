/* The search of benches/bench_search.py with every part hoisted by hand: what a careful C programmer would write.
 *
 * For each (N, D): the parts along lr and along batch are computed once, then all pairs are added and compared. The
 * second pass counts the cells within the tolerance, skipping rows whose least value is beyond it. `separable` leaves the
 * pairs out where the least of a row follows from the least of its parts.
 *
 * parameters: E, A, alpha, B, beta, c1, p0, p1, p2, c2, q0, q1
 */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

void search(const double *p, const double *n, size_t nn, const double *d, size_t nd, const double *lr, size_t nl,
            const double *batch, size_t nb, double within, int separable, double *best, long *cell, long *count)
{
    double *u = malloc(nl * sizeof *u), *v = malloc(nb * sizeof *v), *row = malloc(nl * sizeof *row);
    double *ll = malloc(nl * sizeof *ll), *lb = malloc(nb * sizeof *lb);
    for (size_t i = 0; i < nl; i++) ll[i] = log(lr[i]);
    for (size_t j = 0; j < nb; j++) lb[j] = log(batch[j]);
    for (size_t a = 0; a < nn; a++) {
        double size = p[0] + p[1] * pow(n[a], -p[2]), ln = log(n[a]);
        for (size_t b = 0; b < nd; b++) {
            double base = size + p[3] * pow(d[b], -p[4]), ld = log(d[b]);
            double l0 = p[6] + p[7] * ln + p[8] * ld, b0 = p[10] + p[11] * ld;
            for (size_t i = 0; i < nl; i++) u[i] = base + p[5] * (ll[i] - l0) * (ll[i] - l0);
            for (size_t j = 0; j < nb; j++) v[j] = p[9] * (lb[j] - b0) * (lb[j] - b0);
            double least = INFINITY;
            size_t at = 0;
            if (separable) {
                double low = INFINITY;
                for (size_t j = 0; j < nb; j++) low = v[j] < low ? v[j] : low;
                for (size_t i = 0; i < nl; i++) row[i] = u[i] + low;
            } else {
                for (size_t i = 0; i < nl; i++) {
                    double low = INFINITY;
                    for (size_t j = 0; j < nb; j++) {
                        double x = u[i] + v[j];
                        low = x < low ? x : low;
                    }
                    row[i] = low;
                }
            }
            for (size_t i = 0; i < nl; i++)
                if (row[i] < least) least = row[i], at = i;
            size_t where = 0;
            while (u[at] + v[where] != least) where++;
            double limit = least + within * fabs(least);
            long inside = 0;
            for (size_t i = 0; i < nl; i++) {
                if (row[i] > limit) continue;
                for (size_t j = 0; j < nb; j++) inside += u[i] + v[j] <= limit;
            }
            best[a * nd + b] = least;
            cell[a * nd + b] = (long)(at * nb + where);
            count[a * nd + b] = inside;
        }
    }
    free(u), free(v), free(row), free(ll), free(lb);
}
