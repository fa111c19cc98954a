/* genchi: does this pre-trained model see my training data and the data I will be judged on as one
 * population, and what should I do about it? This header includes the whole public face. */
#ifndef GENCHI_GENCHI_H
#define GENCHI_GENCHI_H

#include "genchi/cache.h"
#include "genchi/check.h"
#include "genchi/compare.h"
#include "genchi/context.h"
#include "genchi/dataset.h"
#include "genchi/decide.h"
#include "genchi/detect.h"
#include "genchi/embed.h"
#include "genchi/error.h"
#include "genchi/finetune.h"
#include "genchi/hub.h"
#include "genchi/kind.h"
#include "genchi/matrix.h"
#include "genchi/model.h"
#include "genchi/report.h"
#include "genchi/see.h"
#include "genchi/stream.h"
#include "genchi/tokenizer.h"
#include "genchi/tune.h"
#include "genchi/vectors.h"
#include "genchi/verify.h"
#include "genchi/where.h"

#endif
