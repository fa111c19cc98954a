/* Golden files (tests/golden) of named number arrays: a line "name count", then count numbers. */
#ifndef GENCHI_TESTS_GOLDEN_TEXT_H
#define GENCHI_TESTS_GOLDEN_TEXT_H

#include <stddef.h>

/* The array called `name` of the file (relative to the repository's root), malloc'd; *count receives its
 * length. Fails the running test when it is not there. */
double *golden_read(const char *path, const char *name, size_t *count);
float *golden_read_float(const char *path, const char *name, size_t *count);

#endif
