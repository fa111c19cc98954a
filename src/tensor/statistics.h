/* Small statistics that more than one floor above needs. Floor 1. */
#ifndef GENCHI_TENSOR_STATISTICS_H
#define GENCHI_TENSOR_STATISTICS_H

#include "genchi/see.h"

#include <stddef.h>

#define GN__Z95 1.959963984540054 /* standard normal quantile of 0.975 */

/* Standard normal: P(Z <= z), and the z with P(Z <= z) = p, 0 < p < 1, by bisection to the last bits. */
double gn__normal_cdf(double z);
double gn__normal_quantile(double p);
/* Ascending. */
void gn__sort(double *x, size_t n);
/* Linear between order statistics (Hyndman & Fan's type 7) of ascending data, n > 0. */
double gn__quantile(const double *sorted, size_t n, double p);
/* Wilson 1927, without continuity correction (Brown, Cai & DasGupta 2001 recommend it): the interval of a
 * share p in [0, 1] of n > 0 independent observations; z: GN__Z95 for 95 %. */
gn_interval gn__wilson_score(double p, double n, double z);

#endif
