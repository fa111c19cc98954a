/* Every text format and encoding: the first byte chooses both, and whether to be strict; the rest is the
 * file. What comes out must be consistent, whatever went in. */
#include "data/data.h"

static gn_context *context(void)
{
    static gn_context *ctx;
    if (ctx == NULL && gn_context_create(&(gn_context_options){.threads = 1}, &ctx, NULL) != GN_OK) abort();
    return ctx;
}

static void require(bool condition)
{
    if (!condition) abort();
}

static void check(const gn_dataset *d)
{
    require(d->rows_read == d->rows + d->malformed + d->dropped_by_label + d->empty_texts);
    for (size_t i = 0; i < d->rows; i++) {
        require(strlen(d->text[i]) == d->length[i]);
        require(i == 0 || d->line[i] > d->line[i - 1]);
        require(d->label == NULL || (d->label[i] >= -1 && d->label[i] < d->classes));
        require(d->group == NULL || d->group[i] < d->groups);
        for (size_t at = 0; at < d->length[i];) { /* well-formed UTF-8 */
            uint32_t c;
            size_t k = gn__utf8_decode(d->text[i] + at, d->length[i] - at, &c);
            require(c != 0xFFFD || (k == 3 && memcmp(d->text[i] + at, "\xEF\xBF\xBD", 3) == 0));
            at += k;
        }
    }
    for (size_t i = 1; i < d->malformed; i++)
        require(d->malformed_rows[i].line > d->malformed_rows[i - 1].line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    unsigned choice = data[0];
    gn_dataset_options o = {.format = (gn_format)(choice % 5),
                            .encoding = (gn_encoding)(choice / 5 % 5),
                            .strict = choice >= 200,
                            .group_alone = "-",
                            .label_map = "0=a,1=b",
                            .drop_labels = "2",
                            .max_text_bytes = 1000};
    if (choice % 3 == 1) o.text = "1";
    if (choice % 3 == 1) o.group = "2";
    gn_dataset d, other;
    gn_error err = {.lang = choice % 2 ? GN_LANG_JA : GN_LANG_EN};
    if (gn__dataset_parse(context(), "fuzz", (const char *)data + 1, size - 1, &o, &d, &err) != GN_OK)
        return 0;
    check(&d);
    o.encoding = GN_ENCODING_LATIN1;
    o.strict = false;
    if (gn__dataset_parse(context(), "other", (const char *)data + 1, size - 1, &o, &other, &err) == GN_OK) {
        gn_duplicates n;
        require(gn_dataset_align_classes(&d, &other, &err) == GN_OK);
        require(d.classes == other.classes);
        if (gn_dataset_deduplicate(&d, &other, false, &n, &err) == GN_OK)
            require(n.across == n.removed_from_train && d.rows > 0);
        gn_dataset_free(&other);
    }
    gn_dataset_free(&d);
    return 0;
}
