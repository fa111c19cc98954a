#include "core/core.h"
#include "core/float16.h"
#include "test.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* Known answers published with Random123 (kat_vectors, philox4x32 10 rounds). */
TEST(philox_known_answers)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        gn__philox_block(known[i].key, known[i].counter, out);
        CHECK(memcmp(out, known[i].out, sizeof out) == 0);
    }
}

TEST(rng_moments_and_independence)
{
    enum { N = 200000 };
    gn__rng a = gn__rng_make(7, gn__purpose("test"), 0), b = gn__rng_make(7, gn__purpose("test"), 1);
    double mean = 0, square = 0, cross = 0, normal = 0, normal2 = 0;
    for (int i = 0; i < N; i++) {
        double x = gn__rng_double(&a), y = gn__rng_double(&b), z = gn__rng_normal(&a);
        CHECK(x >= 0 && x < 1);
        mean += x / N;
        square += x * x / N;
        cross += (x - 0.5) * (y - 0.5) / N;
        normal += z / N;
        normal2 += z * z / N;
    }
    CHECK_NEAR(mean, 0.5, 0.004);
    CHECK_NEAR(square, 1.0 / 3, 0.004);
    CHECK_NEAR(cross, 0, 0.001);
    CHECK_NEAR(normal, 0, 0.01);
    CHECK_NEAR(normal2, 1, 0.02);
}

TEST(rng_below_is_uniform_and_shuffle_permutes)
{
    gn__rng r = gn__rng_make(1, 2, 3);
    int count[7] = {0};
    for (int i = 0; i < 70000; i++) count[gn__rng_below(&r, 7)]++;
    double chi2 = 0;
    for (int k = 0; k < 7; k++) chi2 += (count[k] - 10000.0) * (count[k] - 10000.0) / 10000.0;
    CHECK(chi2 < 22.5); /* 0.999 quantile of chi-square with 6 degrees of freedom */
    uint32_t x[100], seen[100] = {0};
    for (uint32_t i = 0; i < 100; i++) x[i] = i;
    gn__rng_shuffle(&r, x, 100);
    int moved = 0;
    for (uint32_t i = 0; i < 100; i++) {
        seen[x[i]]++;
        moved += x[i] != i;
    }
    for (int i = 0; i < 100; i++) CHECK(seen[i] == 1);
    CHECK(moved > 80);
}

TEST(half_precision_conversions)
{
    static const struct {
        uint16_t half;
        float value;
    } f16[] = {{0x3C00, 1.0f},     {0xC000, -2.0f},      {0x7BFF, 65504.0f}, {0x0400, 0x1p-14f},
               {0x0001, 0x1p-24f}, {0x03FF, 0x3FFp-24f}, {0x0000, 0.0f},     {0x3555, 0.333251953125f}};
    for (size_t i = 0; i < sizeof f16 / sizeof *f16; i++) CHECK(gn__f16_to_f32(f16[i].half) == f16[i].value);
    CHECK(isinf(gn__f16_to_f32(0x7C00)) && isnan(gn__f16_to_f32(0x7E00)));
    CHECK(gn__f32_to_bf16(1.0f) == 0x3F80 && gn__bf16_to_f32(0x3F80) == 1.0f);
    CHECK(gn__f32_to_bf16(0x1.01p0f) == 0x3F80); /* tie: to even */
    CHECK(gn__f32_to_bf16(0x1.03p0f) == 0x3F82); /* tie: to even */
    CHECK(isnan(gn__bf16_to_f32(gn__f32_to_bf16(NAN))));
}

TEST(utf8_decodes_and_replaces)
{
    uint32_t c;
    CHECK(gn__utf8_decode("\xE7\x8F\xBE", 3, &c) == 3 && c == 0x73FE);
    CHECK(gn__utf8_decode("\xF0\x9F\x98\x80", 4, &c) == 4 && c == 0x1F600);
    CHECK(gn__utf8_decode("\xED\xA0\x80", 3, &c) == 1 && c == 0xFFFD); /* surrogate */
    CHECK(gn__utf8_decode("\xF0\x9F\x98", 3, &c) == 3 && c == 0xFFFD); /* cut short */
    CHECK(gn__utf8_decode("\xC0\xAF", 2, &c) == 1 && c == 0xFFFD);     /* overlong */
    CHECK(gn__utf8_decode("\xE7x", 2, &c) == 1 && c == 0xFFFD);
    char out[4];
    for (uint32_t x = 1; x < 0x110000; x += 37) {
        if (x >= 0xD800 && x < 0xE000) continue;
        size_t n = gn__utf8_encode(x, out);
        CHECK(gn__utf8_decode(out, n, &c) == n && c == x);
    }
    CHECK(gn__utf8_prefix("現地x", 7, 2) == 6);
}

TEST(map_holds_many_keys)
{
    gn__map m = {0};
    char key[32];
    uint32_t found;
    for (uint32_t i = 0; i < 5000; i++) {
        int n = snprintf(key, sizeof key, "key%u", i);
        CHECK(gn__map_put(&m, key, (size_t)n, i, &found) && found == i);
    }
    CHECK(gn__map_put(&m, "key17", 5, 99, &found) && found == 17);
    for (uint32_t i = 0; i < 5000; i++) {
        int n = snprintf(key, sizeof key, "key%u", i);
        CHECK_INT(gn__map_get(&m, key, (size_t)n), i);
    }
    CHECK_INT(gn__map_get(&m, "nokey", 5), -1);
    CHECK_INT(m.count, 5000);
    gn__map_free(&m);
}

typedef struct squares {
    double out[1000];
    atomic_int calls;
} squares;

static void square(void *arg, size_t begin, size_t end, unsigned worker)
{
    squares *s = arg;
    (void)worker;
    s->calls++;
    for (size_t i = begin; i < end; i++) s->out[i] = (double)i * (double)i;
}

TEST(parallel_for_covers_every_piece_once)
{
    for (unsigned threads = 1; threads <= 5; threads++) {
        gn_error err = {0};
        gn_context *ctx;
        CHECK_OK(gn_context_create(&(gn_context_options){.threads = threads}, &ctx, &err), err);
        for (int repeat = 0; repeat < 50; repeat++) {
            squares s = {.calls = 0};
            CHECK_OK(gn__parallel_for(ctx, 1000, 7, square, &s, &err), err);
            CHECK(s.calls == 143);
            for (int i = 0; i < 1000; i++) CHECK(s.out[i] == (double)i * i);
        }
        gn_context_free(ctx);
    }
}

static unsigned default_threads(void)
{
    gn_error err = {0};
    gn_context *ctx;
    CHECK_OK(gn_context_create(NULL, &ctx, &err), err);
    unsigned n = gn_context_threads(ctx);
    gn_context_free(ctx);
    return n;
}

/* As under taskset -c: no more threads than processors that this process may use. */
TEST(threads_follow_the_affinity_mask)
{
    cpu_set_t all, one;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    int first = 0;
    while (!CPU_ISSET(first, &all)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    CHECK(default_threads() <= (unsigned)CPU_COUNT(&all));
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK_INT(default_threads(), 1);
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
}

static void put_file(const char *root, const char *name, const char *text)
{
    char path[1200];
    gn_error err = {0};
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(path, 0700);
        *at = '/';
    }
    CHECK_OK(gn__write_file(path, text, strlen(text), &err), err);
}

/* Made-up systems: /proc and /sys under a folder of their own. */
TEST(threads_follow_the_quotas_of_control_groups)
{
    static const struct {
        const char *group; /* /proc/self/cgroup */
        const char *file[3][2];
        unsigned expected;
    } cases[] = {
        {"0::/\n", {{"sys/fs/cgroup/cpu.max", "150000 100000\n"}}, 2},
        {"0::/\n", {{"sys/fs/cgroup/cpu.max", "max 100000\n"}}, 0},
        {"0::/a/b\n",
         {{"sys/fs/cgroup/a/b/cpu.max", "max 100000\n"}, {"sys/fs/cgroup/a/cpu.max", "300000 100000\n"}},
         3},
        {"0::/a/b\n",
         {{"sys/fs/cgroup/a/b/cpu.max", "100000 100000\n"}, {"sys/fs/cgroup/a/cpu.max", "300000 100000\n"}},
         1},
        {"0::/a/b\n",
         {{"sys/fs/cgroup/a/b/cpu.max", "800000 100000\n"}, {"sys/fs/cgroup/a/cpu.max", "250000 50000\n"}},
         5},
        {"0::/of/another/namespace\n", {{"sys/fs/cgroup/cpu.max", "200000 100000\n"}}, 2},
        {"12:memory:/x\n4:cpu,cpuacct:/x/y\n",
         {{"sys/fs/cgroup/cpu,cpuacct/x/y/cpu.cfs_quota_us", "-1\n"},
          {"sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "350000\n"},
          {"sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n"}},
         4},
        {"3:cpuset:/\n2:cpuacct,cpu:/docker/abc\n1:name=systemd:/\n0::/system.slice\n",
         {{"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "120000\n"},
          {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}},
         2},
        {"3:cpuset:/\n",
         {{"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "120000\n"},
          {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}},
         0},
        {"no such line", {{"sys/fs/cgroup/cpu.max", "100000 100000\n"}}, 0},
        {"0::/\n", {{"sys/fs/cgroup/cpu.max", "9223372036854775807 1\n"}}, 0},
        {"0::/\n", {{"sys/fs/cgroup/cpu.max", "5 0\n"}}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[1100];
        snprintf(root, sizeof root, "%s/system%zu", test_folder(), i);
        put_file(root, "proc/self/cgroup", cases[i].group);
        for (size_t k = 0; k < 3 && cases[i].file[k][0] != NULL; k++)
            put_file(root, cases[i].file[k][0], cases[i].file[k][1]);
        if (gn__cgroup_processors(root) != cases[i].expected)
            test_fail(__FILE__, __LINE__, "case %zu: %u processors, not %u", i, gn__cgroup_processors(root),
                      cases[i].expected);
    }
    CHECK_INT(gn__cgroup_processors("/no/such/root"), 0);
}

TEST(cancel_is_reported_in_the_language_asked_for)
{
    volatile sig_atomic_t cancel = 1;
    gn_context *ctx;
    gn_error err = {.lang = GN_LANG_JA};
    CHECK(gn_context_create(&(gn_context_options){.cancel = &cancel}, &ctx, &err) == GN_OK);
    CHECK(gn__check_cancel(ctx, &err) == GN_CANCELLED);
    CHECK_STR(err.message, "指示により中止しました");
    gn_context_free(ctx);
}

TEST(files_are_written_aside_and_renamed)
{
    gn_error err = {0};
    const char *path = test_file("kept.txt", "old", 3);
    CHECK_OK(gn__write_file(path, "new text", 8, &err), err);
    char *data;
    size_t n;
    CHECK_OK(gn__read_file(path, 100, &data, &n, &err), err);
    CHECK_STR(data, "new text");
    CHECK_INT(n, 8);
    free(data);
    CHECK(gn__read_file(path, 3, &data, &n, &err) == GN_FORMAT);
    CHECK(gn__read_file(test_folder(), 100, &data, &n, &err) == GN_IO);
    CHECK_HAS(err.message, "folder");
    CHECK(gn__write_file("/nonexistent/x", "a", 1, &err) == GN_IO);
    /* a full disk: the kernel says so on the first write, and no file of that name appears */
    CHECK(gn__map_file("/nonexistent/x", &(gn__mapping){0}, &err) == GN_IO);
    CHECK_HAS(err.message, "/nonexistent/x");
}

TEST(sha256_of_known_strings)
{
    gn__sha256 h;
    char hex[65];
    gn_error err = {0};
    CHECK_OK(gn__sha256_begin(&h, &err), err);
    gn__sha256_update(&h, "abc", 3);
    gn__sha256_end(&h, hex);
    CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-4 */
}

TEST(sizes_that_overflow_are_refused)
{
    gn_error err = {0};
    gn_matrix m;
    CHECK(gn_matrix_create(SIZE_MAX / 2, 16, &m, &err) == GN_NO_MEMORY);
    CHECK(gn__aligned(SIZE_MAX / 4, 8) == NULL);
    CHECK(gn__realloc(NULL, SIZE_MAX / 4, 8) == NULL);
}
