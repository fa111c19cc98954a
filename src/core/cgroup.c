#include "core/core.h"

#include <stdio.h>

enum { PATH_MOST = 4096, LINE_MOST = 8192 };

/* quota / period, rounded up; 0: no limit. */
static unsigned processors(long long quota, long long period)
{
    if (quota <= 0 || period <= 0) return 0;
    long long n = quota / period + (quota % period != 0);
    return n < 1 << 20 ? (unsigned)n : 0;
}

/* Version 2: "cpu.max" holds "QUOTA PERIOD" or "max PERIOD", which reads as no number. */
static unsigned limit_of_v2(const char *folder)
{
    char name[PATH_MOST + 32];
    long long quota = 0, period = 0;
    snprintf(name, sizeof name, "%s/cpu.max", folder);
    FILE *f = fopen(name, "re");
    if (f == NULL) return 0;
    int got = fscanf(f, "%lld %lld", &quota, &period);
    fclose(f);
    return got == 2 ? processors(quota, period) : 0;
}

static long long number_in(const char *folder, const char *file)
{
    char name[PATH_MOST + 32];
    long long x = 0;
    snprintf(name, sizeof name, "%s/%s", folder, file);
    FILE *f = fopen(name, "re");
    if (f == NULL) return 0;
    if (fscanf(f, "%lld", &x) != 1) x = 0;
    fclose(f);
    return x;
}

/* Version 1: a quota of -1 is none. */
static unsigned limit_of_v1(const char *folder)
{
    return processors(number_in(folder, "cpu.cfs_quota_us"), number_in(folder, "cpu.cfs_period_us"));
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The tightest limit of a group and of all that it lies in. A group that this process cannot see (its path is
 * that of another namespace) counts as the mount itself. */
static unsigned tightest(const char *mount, const char *group, unsigned (*limit_of)(const char *folder))
{
    char folder[PATH_MOST];
    size_t base = strlen(mount);
    if (snprintf(folder, sizeof folder, "%s%s", mount, group) >= (int)sizeof folder) folder[base] = '\0';
    unsigned least = 0;
    for (;;) {
        least = smaller(least, limit_of(folder));
        char *slash = strrchr(folder + base, '/');
        if (slash == NULL) return least;
        *slash = '\0';
    }
}

/* Whether `name` stands in the comma-separated list [list, end). */
static bool lists(const char *list, const char *end, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; at < end; at += strcspn(at, ",:") + 1)
        if ((size_t)(end - at) >= n && memcmp(at, name, n) == 0 && (at[n] == ',' || at[n] == ':'))
            return true;
    return false;
}

/* One line of /proc/self/cgroup: "ID:CONTROLLERS:PATH"; version 2 names no controllers. */
static unsigned limit_of_line(const char *root, char *line)
{
    static const char *const unified[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    static const char *const cpu[] = {"/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu"};
    char mount[PATH_MOST];
    char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
    unsigned least = 0;
    if (path == NULL) return 0;
    bool second = path == list + 1;
    if (!second && !lists(list + 1, path, "cpu")) return 0;
    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < 2; i++) {
        if (snprintf(mount, sizeof mount, "%s%s", root, second ? unified[i] : cpu[i]) >= (int)sizeof mount)
            return 0;
        least = smaller(least, tightest(mount, path + 1, second ? limit_of_v2 : limit_of_v1));
    }
    return least;
}

unsigned gn__cgroup_processors(const char *root)
{
    char name[PATH_MOST], line[LINE_MOST];
    unsigned least = 0;
    if (snprintf(name, sizeof name, "%s/proc/self/cgroup", root) >= (int)sizeof name) return 0;
    FILE *f = fopen(name, "re");
    if (f == NULL) return 0;
    while (fgets(line, sizeof line, f) != NULL) least = smaller(least, limit_of_line(root, line));
    fclose(f);
    return least;
}
