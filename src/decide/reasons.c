#include "decide/reasons.h"

static const gn__reason_info reasons[GN__REASON_COUNT] = {
#define REASON(name, id, values, names) {id, values, names},
    GN__REASON_LIST(REASON)
#undef REASON
};

const gn__reason_info *gn__reason_get(gn__reason_id id)
{
    return &reasons[id];
}

gn__reason_id gn__reason_find(const char *id)
{
    int i = 0;
    while (i < GN__REASON_COUNT && strcmp(reasons[i].id, id) != 0) i++;
    return (gn__reason_id)i;
}
