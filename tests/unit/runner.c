#include "test.h"

#include <ftw.h>
#include <stdarg.h>
#include <unistd.h>

static test_case *first;
static jmp_buf back;
static enum { FAILED = 1, SKIPPED = 2 } how;
static char reason[2048];
static char folder[256];

void test_register(test_case *t)
{
    test_case **at = &first;
    while (*at != NULL) at = &(*at)->next;
    *at = t;
}

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    int n = snprintf(reason, sizeof reason, "%s:%d: ", file, line);
    va_start(args, format);
    vsnprintf(reason + n, sizeof reason - (size_t)n, format, args);
    va_end(args);
    how = FAILED;
    longjmp(back, 1);
}

void test_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    how = SKIPPED;
    longjmp(back, 1);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st, (void)kind, (void)walk;
    return remove(path);
}

static void remove_folder(void)
{
    if (folder[0] != '\0') nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_folder(void)
{
    if (folder[0] == '\0') {
        const char *base = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%s/genchi-test-XXXXXX", base ? base : "/tmp");
        if (mkdtemp(folder) == NULL) {
            perror(folder);
            exit(2);
        }
        atexit(remove_folder);
    }
    return folder;
}

static char *next_path(void)
{
    static char paths[8][1024];
    static unsigned at;
    return paths[at++ % 8];
}

const char *test_file(const char *name, const void *data, size_t length)
{
    char *path = next_path();
    snprintf(path, 1024, "%s/%s", test_folder(), name);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, length, f) != length || fclose(f) != 0) {
        perror(path);
        exit(2);
    }
    return path;
}

const char *test_path(const char *relative)
{
    const char *root = getenv("GENCHI_ROOT");
    char *path = next_path();
    snprintf(path, 1024, "%s/%s", root ? root : ".", relative);
    return path;
}

int test_tier(void)
{
    const char *tier = getenv("TEST_TIER");
    if (tier == NULL) return 0;
    return strcmp(tier, "long") == 0 ? 2 : strcmp(tier, "medium") == 0 ? 1 : 0;
}

/* The only frame that setjmp sees, so that no local of main is clobbered by the jump back. */
static int run_one(const test_case *t)
{
    how = 0;
    if (setjmp(back) == 0) t->run();
    return how;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0, skipped = 0;
    for (const test_case *t = first; t != NULL; t = t->next) {
        if (argc > 1 && strstr(t->name, argv[1]) == NULL) continue;
        switch (run_one(t)) {
        case FAILED:
            failed++;
            printf("FAIL %s: %s\n", t->name, reason);
            break;
        case SKIPPED:
            skipped++;
            printf("skip %s: %s\n", t->name, reason);
            break;
        default:
            passed++;
            printf("ok   %s\n", t->name);
        }
        fflush(stdout);
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed > 0;
}
