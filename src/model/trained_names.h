/* What the names of a checkpoint's tensors say, and which pairs of parameters are an adapter. */
#ifndef GENCHI_MODEL_TRAINED_NAMES_H
#define GENCHI_MODEL_TRAINED_NAMES_H

#include "model/learner.h"

/* Length of what stands before every name in the recipe ("bert."). */
size_t gn__prefix_length(const gn_model *m);
/* 0: embeddings; 1 + i: stored layer i, with layer 0 its convolution; layers + 1: what follows. */
size_t gn__tensor_place(const gn_model *m, const char *name);
/* The recipe has no use for the tensor. */
bool gn__tensor_unused(const gn_model *m, const char *name);

/* a and b are the A and the B of one adapter. */
bool gn__is_adapter(const gn__parameter *a, const gn__parameter *b);

#endif
