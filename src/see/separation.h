/* How well two sets of binned rows can be told apart, and how far apart their densities then are. */
#ifndef GENCHI_SEE_SEPARATION_H
#define GENCHI_SEE_SEPARATION_H

#include "core/core.h"
#include "tensor/units.h"

enum { GN__SEPARATION_FOLDS = 5 };

typedef struct gn__kernel {
    double *tap; /* [half + 1], from the centre outward */
    size_t half;
} gn__kernel;

/* Rows of both samples on one grid; rows of the second follow those of the first. */
typedef struct gn__binned {
    size_t dims, nx, ny, cells;
    double low[2], step[2];
    size_t rows;
    uint32_t *cell; /* [rows] lower-left of the 2 (4) cells that a row is shared among */
    float *part;    /* [rows × dims] share of the upper one, per axis */
    uint32_t *near; /* [rows] the nearest cell */
} gn__binned;
/* x: [n × dims]; the rows get the numbers first, first + 1, … */
void gn__bin_rows(gn__binned *b, const double *x, size_t n, size_t first);

/* Two sets of whole units. */
typedef struct gn__sides {
    const gn__units *units;  /* rows of the binned ones */
    const uint32_t *unit[2]; /* [count[k]] in random order: unit i is of fold i mod folds */
    size_t count[2];
    const gn__kernel *kernel[2]; /* [dims] */
} gn__sides;

/* Doubles of scratch that gn__separate needs. */
size_t gn__separation_scratch(const gn__binned *b);
/* Mean over each side's rows of the indicator of "the first side's density is the larger one here" (½ where
 * they are equal), the first's less the second's: with the densities of all rows (*seen) and with those that
 * leave the row's fold out (*held; NaN where a side has a single unit). member: [rows] the first indicator;
 * may be NULL. */
void gn__separate(const gn__binned *b, const gn__sides *sides, double *scratch, double *seen, double *held,
                  float *member);

/* The two joined, at the weights at which their errors cancel where the densities cross; see README.md. */
double gn__separation(size_t dims, double seen, double held);

#endif
