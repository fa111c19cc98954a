/* Confidence interval for a mean that cannot be negative. Floor 1. */
#ifndef GENCHI_TENSOR_BOUNDED_H
#define GENCHI_TENSOR_BOUNDED_H

/* 95 % interval for a mean mu >= 0 from x ~ N(mu, 1) (Feldman & Cousins 1998, Phys. Rev. D 57, 3873): each mu
 * keeps the 95 % of outcomes that are likeliest beside the best mu >= 0. */
void gn__bounded_interval(double x, double *low, double *high);
/* A distance that chance alone puts at b, not at 0: the distance at which d is expected, about d where d is
 * well above b, 0 up to b, rounded off between; 1 at 1. */
double gn__beyond_chance(double d, double b);

#endif
