#include "core/team.h"

#include <math.h>

/* A wait is odd that takes so many seconds and twice what the member itself has worked in the step. */
#define SLOW 200e-6
/* Of the time that the whole takes: what may be lost by waiting until one alone would be as fast as two. */
#define LOSS 0.5

enum {
    PIECES = 3,      /* a member and step: few, and a multiple of what most widths divide into */
    PATIENCE = 8000, /* turns, some 120 µs: longer than most pieces of a large model */
    IMPATIENCE = 16
};

void gn__team_open_as(gn__team *t, unsigned most, bool spins)
{
    *t = (gn__team){.most = most, .spins = spins};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->change, NULL);
}

void gn__team_open(gn__team *t, const gn_context *ctx, unsigned most)
{
    unsigned together = gn__together(ctx);
    gn__team_open_as(t, most < together ? most : together, true);
    t->lately = gn__together_lately(ctx);
}

bool gn__team_was_slow(gn__team *t)
{
    return atomic_load(&t->only) != 0;
}

void gn__team_close(gn__team *t)
{
    pthread_cond_destroy(&t->change);
    pthread_mutex_destroy(&t->lock);
}

bool gn__team_join(gn__team *t, gn__member *out)
{
    unsigned before = atomic_fetch_add(&t->joined, 1);
    if (before >= t->most) return false;
    *out = (gn__member){
        .team = t->most > 1 ? t : NULL, .number = before + 1, .patience = PATIENCE, .begun = gn__now()};
    return true;
}

static bool over(gn__team *t, uint32_t step)
{
    return atomic_load(&t->next) >> 32 != step;
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void sleep_until_over(gn__team *t, uint32_t step)
{
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->asleep, 1); /* before it looks again, as `end_step` looks after the step has ended */
    while (!over(t, step)) pthread_cond_wait(&t->change, &t->lock);
    atomic_fetch_sub(&t->asleep, 1);
    pthread_mutex_unlock(&t->lock);
}

/* Turns first; a member that had to sleep nevertheless turns less the next time. */
static void wait_for(gn__member *m)
{
    gn__team *t = m->team;
    unsigned nobody = 0;
    for (unsigned i = 0; t->spins && i < m->patience; i++) {
        if (over(t, m->step)) {
            if (m->patience < PATIENCE) m->patience *= 2;
            return;
        }
        pause_briefly();
    }
    if (m->patience > IMPATIENCE) m->patience /= 2;
    double begin = gn__now();
    sleep_until_over(t, m->step);
    double end = gn__now();
    m->lost += end - begin;
    if (end - begin > SLOW + 2 * (begin - m->since) && m->lost > LOSS * fmax(end - m->begun, t->lately))
        atomic_compare_exchange_strong(&t->only, &nobody, m->number);
}

static void end_step(gn__team *t, uint32_t step)
{
    atomic_store(&t->done, 0);
    atomic_store(&t->next, (uint64_t)(step + 1) << 32);
    if (atomic_load(&t->asleep) == 0) return;
    pthread_mutex_lock(&t->lock);
    pthread_cond_broadcast(&t->change);
    pthread_mutex_unlock(&t->lock);
}

static bool all_at_once(gn__member *m, size_t n, size_t *begin, size_t *end)
{
    *begin = 0;
    *end = n;
    m->mine = m->mine == 0 && n > 0;
    return m->mine != 0;
}

/* Another goes on alone: this one takes no more. */
static bool leaves(gn__member *m)
{
    unsigned only = atomic_load(&m->team->only);
    m->gone = m->gone || (only != 0 && only != m->number);
    return m->gone;
}

unsigned gn__members(const gn__member *m)
{
    return m->team != NULL ? m->team->most : 1;
}

static bool claim(gn__member *m, uint64_t *next, size_t pieces)
{
    while (*next >> 32 == m->step && (uint32_t)*next < pieces)
        if (atomic_compare_exchange_weak(&m->team->next, next, *next + 1)) return true;
    return false;
}

bool gn__take_piece(gn__member *m, size_t n, size_t multiple, size_t *begin, size_t *end)
{
    gn__team *t = m->team;
    if (t == NULL) return all_at_once(m, n, begin, end);
    size_t parts = (n + multiple - 1) / multiple, pieces = (size_t)t->most * PIECES;
    if (parts == 0 || (m->mine == 0 && leaves(m))) return false;
    if (pieces > parts) pieces = parts;
    uint64_t next = atomic_load(&t->next);
    if (claim(m, &next, pieces)) {
        size_t piece = (uint32_t)next;
        *begin = piece * parts / pieces * multiple;
        *end = (piece + 1) * parts / pieces * multiple;
        if (*end > n) *end = n;
        if (m->mine++ == 0) m->since = gn__now();
        return true;
    }
    if (next >> 32 == m->step) {
        if (m->mine > 0 && atomic_fetch_add(&t->done, m->mine) + m->mine == pieces)
            end_step(t, m->step);
        else
            wait_for(m);
    }
    m->mine = 0;
    m->step++;
    return false;
}
