/* Everything in a model's folder that decides its vectors, as one hash. */
#ifndef GENCHI_PIPELINE_FINGERPRINT_H
#define GENCHI_PIPELINE_FINGERPRINT_H

#include "core/core.h"
#include "genchi/model.h"

/* Of the weights' hash and of the small files beside them (.json, .txt, .model: configuration, tokenizer,
 * pooling), with those of direct subfolders; and of the options in use. */
gn_status gn__model_fingerprint(const gn_model_info *info, char hex[65], gn_error *err);

#endif
