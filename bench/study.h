/* A study by simulation that can be stopped at any time and gone on with. Every row of a study is a setting
 * to simulate many times; sums of what each simulation gives are appended to a file, a line a batch:
 *
 *     KEY <tab> BATCH <tab> SIMULATIONS <tab> SUM SUM … <newline>
 *
 * A line without its newline (the program was killed) is not counted. When a run begins and when it ends,
 * batches that follow on each other become one line, whose BATCH is "first-last"; so the file stays small,
 * whoever wrote it, and can be committed. Lines of rows that this run does not have are kept. Simulation k of
 * a row is a function of (row, k) alone, so that a study stopped and gone on with gives what one run would
 * have given (up to the rounding of sums), whatever the number of threads. After a change of what a row
 * measures its lines have to be deleted. One process a file. */
#ifndef GENCHI_BENCH_STUDY_H
#define GENCHI_BENCH_STUDY_H

#include "core/core.h"
#include "genchi/genchi.h"

enum { STUDY_VALUES = 48 };

typedef struct study_row study_row;
struct study_row {
    char key[120]; /* of the row in the file: one of a kind, no tab or newline */
    /* Adds simulation k to sum[STUDY_VALUES]. ctx: one thread, seed as the study wants it. NULL: what it needs is
     * not here, the row is read only. */
    void (*simulate)(const study_row *row, size_t k, gn_context *ctx, double *sum);
    const void *setting; /* for simulate */
    size_t number[4];    /* likewise */
    size_t batch;        /* simulations of a line of the file */
    size_t share;        /* simulations: the study's over this; 0: 1 */
    /* Set by study_run: */
    size_t done; /* simulations in the file */
    double sum[STUDY_VALUES];
};

/* Brings every row to `simulations`, all rows first to a few, then to more, on `threads` threads (0: as many
 * as processors); simulations 0: reads the file only. Stops the program on an error. */
void study_run(study_row *row, size_t rows, size_t simulations, const char *path, unsigned threads,
               uint64_t seed);

/* "the rate (low–high)", exact binomial interval of 95 % (Clopper & Pearson 1934); one of 16 static buffers.
 */
const char *study_rate(double hits, size_t n);
void study_interval(size_t k, size_t n, double *low, double *high);
void study_must(gn_status status, const gn_error *err);
gn_matrix study_matrix(size_t rows, size_t cols);
/* Between 0 and 1, neither of them. */
float study_uniform(gn__rng *r);
/* Two normals from one pair of uniforms, in float. */
void study_normals(gn__rng *r, float *x, size_t n);

#endif
