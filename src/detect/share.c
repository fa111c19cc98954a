#include "detect/share.h"

#include <math.h>

gn__share gn__share_of(const gn__units *u, const signed char *pick)
{
    double rows = 0, hits = 0, square = 0, clusters = 0;
    for (size_t i = 0; i < u->rows; i++)
        if (pick[i] >= 0) rows++, hits += pick[i];
    double p = rows > 0 ? hits / rows : NAN;
    for (size_t k = 0; k < u->count; k++) {
        double excess = 0;
        bool any = false;
        for (size_t i = u->start[k]; i < u->start[k + 1]; i++) {
            if (pick[u->row[i]] < 0) continue;
            excess += pick[u->row[i]] - p;
            any = true;
        }
        square += excess * excess;
        clusters += any;
    }
    /* A ratio of sums over clusters; at 0 or 1 there is no variance to see, and every group counts once. */
    double variance = clusters > 1 ? clusters / (clusters - 1) * square / (rows * rows) : 0;
    double effective = variance > 0 ? p * (1 - p) / variance : clusters;
    return (gn__share){p, fmin(effective, rows)};
}

gn_interval gn__share_interval(gn__share s, double z)
{
    if (!(s.units > 0)) return (gn_interval){NAN, NAN, NAN};
    return gn__wilson_score(s.p, s.units, z);
}

gn_interval gn__share_difference(gn__share a, gn__share b, double z)
{
    gn_interval x = gn__share_interval(a, z), y = gn__share_interval(b, z);
    double d = b.p - a.p, below = hypot(y.estimate - y.low, x.high - x.estimate),
           above = hypot(y.high - y.estimate, x.estimate - x.low);
    return (gn_interval){d, fmax(-1, d - below), fmin(1, d + above)};
}
