/* Writing the whole report: every file aside first, and only when all of them are safely on disk are they
 * renamed, so that a full disk or a lost folder leaves the report of the last run as it was. */
#include "core/core.h"
#include "genchi/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { FILES = 2 + GN_FIGURE_COUNT };

typedef struct output {
    const char *name;
    char *data;
    size_t length;
    char *path, *aside; /* aside: NULL until it exists on disk */
} output;

static gn_status render(const gn_result *r, gn_lang lang, output *o, gn_error *err)
{
    GN__TRY(gn_report_html(r, lang, &o[0].data, &o[0].length, err));
    GN__TRY(gn_report_json(r, lang, &o[1].data, &o[1].length, err));
    for (int f = 0; f < GN_FIGURE_COUNT; f++)
        GN__TRY(gn_report_figure(r, (gn_figure)f, lang, &o[2 + f].data, &o[2 + f].length, err));
    return GN_OK;
}

static int write_fd(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        data += n;
        length -= (size_t)n;
    }
    return fsync(fd) != 0 ? errno : 0;
}

static gn_status write_aside(output *o, gn_error *err)
{
    gn__buf aside = {0};
    gn__buf_printf(&aside, "%s.tmp-%ld", o->path, (long)getpid());
    if (aside.failed) {
        gn__buf_free(&aside);
        return gn__no_memory(err, strlen(o->path));
    }
    int fd = open(aside.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int failed = fd < 0 ? errno : write_fd(fd, o->data, o->length);
    if (fd >= 0) {
        o->aside = aside.data;
        if (close(fd) != 0 && failed == 0) failed = errno;
    } else {
        gn__buf_free(&aside);
    }
    return failed == 0 ? GN_OK : gn__fail(err, GN_IO, "cannot write %s: %s", o->path, strerror(failed));
}

/* A figure that this result lacks must not stay behind from an earlier one. */
static gn_status put_in_place(output *o, gn_error *err)
{
    if (o->aside == NULL) {
        if (unlink(o->path) != 0 && errno != ENOENT)
            return gn__fail(err, GN_IO, "cannot write %s: %s", o->path, strerror(errno));
        return GN_OK;
    }
    if (rename(o->aside, o->path) != 0)
        return gn__fail(err, GN_IO, "cannot write %s: %s", o->path, strerror(errno));
    free(o->aside);
    o->aside = NULL;
    return GN_OK;
}

static gn_status write_all(const gn_result *r, gn_lang lang, const char *directory, output *o, gn_error *err)
{
    GN__TRY(render(r, lang, o, err));
    GN__TRY(gn__make_directory(directory, err));
    for (int i = 0; i < FILES; i++) {
        o[i].path = gn__path_join(directory, o[i].name);
        if (o[i].path == NULL) return gn__no_memory(err, strlen(directory));
        if (gn__is_directory(o[i].path)) return gn__fail(err, GN_IO, "%s is a folder, not a file", o[i].path);
        if (o[i].length > 0) GN__TRY(write_aside(&o[i], err));
    }
    for (int i = 0; i < FILES; i++) GN__TRY(put_in_place(&o[i], err));
    return GN_OK;
}

gn_status gn_report_write(const gn_result *r, gn_lang lang, const char *directory, gn_error *err)
{
    output o[FILES] = {{.name = "report.html"}, {.name = "result.json"}};
    for (int f = 0; f < GN_FIGURE_COUNT; f++) o[2 + f].name = gn_figure_file((gn_figure)f);
    gn_status status = write_all(r, lang, directory, o, err);
    for (int i = 0; i < FILES; i++) {
        if (o[i].aside != NULL) unlink(o[i].aside);
        free(o[i].aside);
        free(o[i].path);
        free(o[i].data);
    }
    return status;
}
