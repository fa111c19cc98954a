/* One thread beside the caller's, for reading ahead and writing behind. */
#ifndef GENCHI_PIPELINE_ASIDE_H
#define GENCHI_PIPELINE_ASIDE_H

#include "core/core.h"

#include <pthread.h>

typedef struct gn__aside {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    void (*task)(void *arg);
    void *arg;
    bool busy, quit, open;
} gn__aside;

gn_status gn__aside_open(gn__aside *a, gn_error *err);
/* Starts a task; the one before must have been waited for. */
void gn__aside_start(gn__aside *a, void (*task)(void *arg), void *arg);
void gn__aside_wait(gn__aside *a);
/* Waits, then ends the thread. A zeroed struct is allowed. */
void gn__aside_close(gn__aside *a);

#endif
