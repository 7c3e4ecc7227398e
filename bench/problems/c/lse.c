/* Value and gradient of log(sum(exp(x))) by hand. */
#include <math.h>

void run(long n, const double *restrict x, double *restrict value, double *restrict g) {
    double top = x[0], sum = 0;
    for (long i = 1; i < n; i++) top = x[i] > top ? x[i] : top;
    for (long i = 0; i < n; i++) {
        g[i] = exp(x[i] - top);
        sum += g[i];
    }
    *value = top + log(sum);
    const double scale = 1 / sum;
    for (long i = 0; i < n; i++) g[i] *= scale;
}
