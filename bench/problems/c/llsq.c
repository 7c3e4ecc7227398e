/* Value and gradient of half the squared distance of a polynomial from sign(t) by hand. */

void run(long m, long n, const double *restrict x, const double *restrict t,
         double *restrict value, double *restrict g) {
    double sum = 0;
    for (long j = 0; j < m; j++) g[j] = 0;
    for (long i = 0; i < n; i++) {
        const double ti = t[i];
        double p = 0, power = 1;
        for (long j = m - 1; j >= 0; j--) p = p * ti + x[j];
        const double r = p - ((ti > 0) - (ti < 0));
        sum += r * r;
        for (long j = 0; j < m; j++) {
            g[j] += r * power;
            power *= ti;
        }
    }
    *value = sum / 2;
}
