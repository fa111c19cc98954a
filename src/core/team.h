/* Work that several threads do together, step by step. */
#ifndef GENCHI_CORE_TEAM_H
#define GENCHI_CORE_TEAM_H

#include "core/core.h"

#include <pthread.h>
#include <stdatomic.h>

/* All members go through the same steps in the same order. A step is cut into pieces, any member does any of
 * them, and the next step begins when all are done: who comes late finds less left to do, who never comes or
 * leaves between two steps holds nobody up. Where others need the processors a member may be put aside in the
 * middle of a piece, and the rest wait for it. Once a member has waited for half of the time, it goes on
 * alone: that is what two are worth. */
typedef struct gn__team {
    _Atomic uint64_t next; /* step << 32 | its first piece that nobody has taken */
    atomic_size_t done;    /* pieces of this step */
    atomic_uint joined, asleep;
    atomic_uint only; /* the member that goes on alone; 0: all do */
    unsigned most;    /* members */
    double lately;    /* seconds that such work took before; 0: not known */
    bool spins;
    pthread_mutex_t lock;
    pthread_cond_t change;
} gn__team;
/* At most so many members, and no more than gn__together. */
void gn__team_open(gn__team *t, const gn_context *ctx, unsigned most);
/* The same for tests: waiting as on a machine that has or has not a processor for each. */
void gn__team_open_as(gn__team *t, unsigned most, bool spins);
bool gn__team_was_slow(gn__team *t); /* one went on alone */
void gn__team_close(gn__team *t);    /* when no member is left */

/* One thread's place in it. */
typedef struct gn__member {
    gn__team *team;  /* NULL: alone; a zeroed struct is that */
    unsigned number; /* from 1 */
    uint32_t step;
    unsigned patience; /* turns of waiting before it sleeps */
    bool gone;         /* another goes on alone */
    size_t mine;       /* pieces of this step */
    double since;      /* when this step began */
    double begun;      /* when it joined */
    double lost;       /* seconds that it slept while others worked */
} gn__member;
/* false: there are members enough. */
bool gn__team_join(gn__team *t, gn__member *out);

unsigned gn__members(const gn__member *m); /* 1: alone */

/* The next piece [begin, end) of the n parts of a step, or false when all of it is done: `while
 * (gn__take_piece(…)) work on the piece`. Every member makes the same calls with the same n and multiple.
 * Pieces begin at multiples of `multiple`; alone there is one piece. What a step wrote the next one may read.
 */
bool gn__take_piece(gn__member *m, size_t n, size_t multiple, size_t *begin, size_t *end);

#endif
