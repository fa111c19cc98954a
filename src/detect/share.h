/* Shares of rows with intervals that count groups. */
#ifndef GENCHI_DETECT_SHARE_H
#define GENCHI_DETECT_SHARE_H

#include "core/core.h"
#include "genchi/see.h"
#include "tensor/statistics.h"
#include "tensor/units.h"

typedef struct gn__share {
    double p, units; /* units: independent rows that would give the same variance */
} gn__share;

/* pick: [u->rows] 1 in, 0 out, -1 not counted. */
gn__share gn__share_of(const gn__units *u, const signed char *pick);
/* Wilson 1927; NaN without rows. */
gn_interval gn__share_interval(gn__share s, double z);
/* b minus a: Newcombe 1998, method 10. */
gn_interval gn__share_difference(gn__share a, gn__share b, double z);

#endif
