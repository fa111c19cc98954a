/* Time and memory of one two-sample test on normal rows: detect_speed TEST ROWS_A ROWS_B COLUMNS
 * PERMUTATIONS. The input is made before the clock starts; prints seconds, CPU seconds, and the peak of
 * resident memory beyond what stood there before the test. TEST mmd-one: the exact one with the median
 * bandwidth alone, to stand beside programs that have one. */
#include "detect/detect.h"
#include "genchi/genchi.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static gn_matrix noise(size_t rows, size_t cols, uint64_t index)
{
    gn_matrix m = {0};
    gn_error err = {0};
    if (gn_matrix_create(rows, cols, &m, &err) != GN_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    gn__rng r = gn__rng_make(1, gn__purpose("bench/detect"), index);
    for (size_t i = 0; i < rows * cols;
         i++) /* a sum of four uniform bytes: near enough to a normal, and quick */
    {
        uint32_t u = gn__rng_u32(&r);
        m.data[i] = ((float)((u & 255) + (u >> 8 & 255) + (u >> 16 & 255) + (u >> 24)) - 510) / 148;
    }
    return m;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double peak_mib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

/* mmd-one. */
static gn_status one_bandwidth(gn_context *ctx, const gn_matrix *a, const gn_matrix *b, size_t permutations,
                               gn_shift *out, gn_error *err)
{
    gn_detect_options o = {.permutations = permutations};
    gn__sample s;
    double distance, *statistic = gn__calloc(permutations + 1, sizeof *statistic);
    GN__TRY(gn__pool_capped(ctx, a, b, &o, &s, err));
    s.mean = gn__calloc(s.dim, sizeof *s.mean);
    GN__TRY(gn__typical_distance(&s, &distance, err));
    gn__kernel kernel = {GN__GAUSS, distance, false};
    GN__TRY(gn__pairs(&s, &kernel, 1, statistic, NULL, err));
    *out = (gn_shift){.method = "mmd-one", .p_value = gn__rank_first(statistic, permutations + 1)};
    free(statistic), free(s.mean), free(s.row);
    return GN_OK;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: detect_speed TEST ROWS_A ROWS_B COLUMNS PERMUTATIONS\n");
        return 2;
    }
    gn_context *ctx = NULL;
    gn_error err = {0};
    gn_detect_options o = {.permutations = strtoul(argv[5], NULL, 10)};
    for (int t = 0; t < GN_TEST_COUNT; t++)
        if (strcmp(gn_test_name((gn_test)t), argv[1]) == 0) o.test = (gn_test)t;
    size_t cols = strtoul(argv[4], NULL, 10);
    gn_matrix a = noise(strtoul(argv[2], NULL, 10), cols, 1), b = noise(strtoul(argv[3], NULL, 10), cols, 2);
    gn_shift shift;
    if (gn_context_create(NULL, &ctx, &err) != GN_OK) return 1;
    double before = peak_mib(), cpu = cpu_seconds(), t0 = gn__now();
    gn_status status = strcmp(argv[1], "mmd-one") == 0
                           ? one_bandwidth(ctx, &a, &b, o.permutations, &shift, &err)
                           : gn_kernel_test(ctx, &a, &b, &o, &shift, &err);
    if (status != GN_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("%s %zu+%zu d=%zu B=%zu: %.2f s, %.2f CPU s, %.0f MiB beyond the input, p = %.4g\n", shift.method,
           a.rows, b.rows, cols, o.permutations, gn__now() - t0, cpu_seconds() - cpu, peak_mib() - before,
           shift.p_value);
    gn_matrix_free(&a);
    gn_matrix_free(&b);
    gn_context_free(ctx);
    return 0;
}
