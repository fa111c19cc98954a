#include "golden_text.h"
#include "test.h"

double *golden_read(const char *path, const char *name, size_t *count)
{
    FILE *f = fopen(test_path(path), "re");
    if (f == NULL) test_fail(path, 0, "cannot open");
    char found[64];
    size_t n;
    while (fscanf(f, "%63s %zu", found, &n) == 2) {
        double *x = malloc((n + 1) * sizeof *x);
        if (x == NULL) break;
        size_t got = 0;
        while (got < n && fscanf(f, "%lf", &x[got]) == 1) got++;
        if (got == n && strcmp(found, name) == 0) {
            fclose(f);
            *count = n;
            return x;
        }
        free(x);
        if (got < n) break;
    }
    fclose(f);
    test_fail(path, 0, "no array \"%s\"", name);
}

float *golden_read_float(const char *path, const char *name, size_t *count)
{
    double *x = golden_read(path, name, count);
    float *y = malloc((*count + 1) * sizeof *y);
    if (y == NULL) test_fail(path, 0, "out of memory");
    for (size_t i = 0; i < *count; i++) y[i] = (float)x[i];
    free(x);
    return y;
}
