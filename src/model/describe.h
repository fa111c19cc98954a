/* What a loaded model computes, in words, for gn_model_info. */
#ifndef GENCHI_MODEL_DESCRIBE_H
#define GENCHI_MODEL_DESCRIBE_H

#include "model/internal.h"

/* directory: of the transformer; its tokenizer.json names the tokenizer's parts. Errors: GN_NO_MEMORY. */
gn_status gn__model_describe(gn_model *m, const char *directory, gn_error *err);

#endif
