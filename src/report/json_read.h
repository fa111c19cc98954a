#ifndef GENCHI_REPORT_JSON_READ_H
#define GENCHI_REPORT_JSON_READ_H

#include "core/core.h"
#include "genchi/report.h"

/* gn_result_read on bytes in memory; `name` stands for the file in messages. */
gn_status gn__result_parse(const char *name, const char *text, size_t length, gn_result *out, gn_error *err);

#endif
