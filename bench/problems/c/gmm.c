/* Value and gradient of the mixture's log-likelihood by hand (Wishart prior with gamma 1, m 0).

   A row of icf has d log-diagonals, then the strictly lower triangle by columns. The constant is
   all terms without parameters. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double softmax(long k, const double *restrict x, double *restrict w) {
    double top = x[0], sum = 0;
    for (long i = 1; i < k; i++) top = x[i] > top ? x[i] : top;
    for (long i = 0; i < k; i++) sum += w[i] = exp(x[i] - top);
    for (long i = 0; i < k; i++) w[i] /= sum;
    return top + log(sum);
}

void run(long k, long d, long n, const double *restrict alphas, const double *restrict means,
         const double *restrict icf, const double *restrict x, const double *restrict constant,
         double *restrict value, double *restrict galphas, double *restrict gmeans,
         double *restrict gicf) {
    const long size = d * (d + 1) / 2;
    double *diagonal = malloc(sizeof(double) * k * d), *sums = malloc(sizeof(double) * k);
    double *centered = malloc(sizeof(double) * k * d), *scaled = malloc(sizeof(double) * k * d);
    double *terms = malloc(sizeof(double) * k), *w = malloc(sizeof(double) * k);
    double total = 0;
    memset(galphas, 0, sizeof(double) * k);
    memset(gmeans, 0, sizeof(double) * k * d);
    memset(gicf, 0, sizeof(double) * k * size);
    for (long c = 0; c < k; c++) {
        sums[c] = 0;
        for (long i = 0; i < d; i++) {
            diagonal[c * d + i] = exp(icf[c * size + i]);
            sums[c] += icf[c * size + i];
        }
    }
    for (long p = 0; p < n; p++) {
        for (long c = 0; c < k; c++) {
            const double *q = diagonal + c * d, *l = icf + c * size + d;
            double *u = centered + c * d, *v = scaled + c * d, square = 0;
            for (long i = 0; i < d; i++) {
                u[i] = x[p * d + i] - means[c * d + i];
                v[i] = q[i] * u[i];
            }
            for (long j = 0; j < d; j++) {
                for (long i = j + 1; i < d; i++) v[i] += l[i - j - 1] * u[j];
                l += d - j - 1;
            }
            for (long i = 0; i < d; i++) square += v[i] * v[i];
            terms[c] = alphas[c] + sums[c] - 0.5 * square;
        }
        total += softmax(k, terms, w);
        for (long c = 0; c < k; c++) {
            const double *q = diagonal + c * d, *l = icf + c * size + d;
            const double *u = centered + c * d, *v = scaled + c * d;
            double *gq = gicf + c * size, *gl = gq + d, *gm = gmeans + c * d;
            galphas[c] += w[c];
            for (long i = 0; i < d; i++) {
                gq[i] += w[c] * (1 - v[i] * u[i] * q[i]);
                gm[i] += w[c] * v[i] * q[i];
            }
            for (long j = 0; j < d; j++) {
                const double wu = w[c] * u[j];
                double sum = 0;
                for (long i = j + 1; i < d; i++) {
                    gl[i - j - 1] -= wu * v[i];
                    sum += l[i - j - 1] * v[i];
                }
                gm[j] += w[c] * sum;
                gl += d - j - 1;
                l += d - j - 1;
            }
        }
    }
    total -= n * softmax(k, alphas, w);
    for (long c = 0; c < k; c++) {
        galphas[c] -= n * w[c];
        for (long i = 0; i < d; i++) {
            const double q = diagonal[c * d + i];
            total -= 0.5 * q * q;
            gicf[c * size + i] -= q * q;
        }
        for (long i = d; i < size; i++) {
            total -= 0.5 * icf[c * size + i] * icf[c * size + i];
            gicf[c * size + i] -= icf[c * size + i];
        }
    }
    *value = total + *constant;
    free(diagonal); free(sums); free(centered); free(scaled); free(terms); free(w);
}
