/* ByteLevel as a post-processor: adds nothing, takes white space off the offsets. */
#include "text/parts.h"

static gn_status parse(const gn__tok_source *source, const json_t *part, gn__tok_post *post)
{
    static const char name[] = "ByteLevel";
    bool trim, space;
    GN__TRY(gn__tok_bool(source, name, part, "trim_offsets", GN__TOK_REQUIRED, &trim));
    GN__TRY(gn__tok_bool(source, name, part, "add_prefix_space", GN__TOK_REQUIRED, &space));
    return trim ? gn__tok_post_trim(source, post, space) : GN_OK;
}

extern const gn__tok_post_type gn__tok_post_byte_level;
const gn__tok_post_type gn__tok_post_byte_level = {"ByteLevel", parse};
