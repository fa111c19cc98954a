/* result.json: whatever the bytes, the reader either refuses or gives a result that every renderer takes. */
#include "genchi/report.h"
#include "report/json_read.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gn_result r;
    if (gn__result_parse("fuzz", (const char *)data, size, &r, NULL) != GN_OK) return 0;
    for (int lang = 0; lang < 2; lang++) {
        char *out = NULL;
        size_t length;
        if (gn_report_json(&r, (gn_lang)lang, &out, &length, NULL) == GN_OK) free(out);
        out = NULL;
        if (gn_report_text(&r, (gn_lang)lang, true, 60, &out, &length, NULL) == GN_OK) free(out);
        out = NULL;
        if (gn_report_html(&r, (gn_lang)lang, &out, &length, NULL) == GN_OK) free(out);
    }
    gn_result_free(&r);
    return 0;
}
