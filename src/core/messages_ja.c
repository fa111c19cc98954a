/* Japanese for the library's messages. The English format string is the key; a test holds every
 * translation's conversions against its key's, and lint holds the tables against the sources. One .def
 * file a floor, in messages/. */
#include "core/core.h"

typedef struct gn__message {
    const char *en, *ja;
} gn__message;

static const gn__message messages[] = {
#define M(en, ja) {en, ja},
#include "core/messages/cli.def"
#include "core/messages/core.def"
#include "core/messages/data.def"
#include "core/messages/decide.def"
#include "core/messages/detect.def"
#include "core/messages/hub.def"
#include "core/messages/model.def"
#include "core/messages/pipeline.def"
#include "core/messages/report.def"
#include "core/messages/see.def"
#include "core/messages/store.def"
#include "core/messages/tensor.def"
#include "core/messages/text.def"
#include "core/messages/verify.def"
#undef M
};

const char *gn__translate(gn_lang lang, const char *english)
{
    if (lang != GN_LANG_JA) return english;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        if (strcmp(messages[i].en, english) == 0) return messages[i].ja;
    return english;
}
