#include "pipeline/aside.h"

#include <errno.h>

static void *work(void *p)
{
    gn__aside *a = p;
    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (!a->busy && !a->quit) pthread_cond_wait(&a->change, &a->lock);
        if (!a->busy) break;
        pthread_mutex_unlock(&a->lock);
        a->task(a->arg);
        pthread_mutex_lock(&a->lock);
        a->busy = false;
        pthread_cond_broadcast(&a->change);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

gn_status gn__aside_open(gn__aside *a, gn_error *err)
{
    *a = (gn__aside){0};
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->change, NULL);
    int failed = pthread_create(&a->thread, NULL, work, a);
    a->open = failed == 0;
    if (a->open) return GN_OK;
    pthread_cond_destroy(&a->change);
    pthread_mutex_destroy(&a->lock);
    return gn__fail(err, GN_NO_MEMORY, "cannot start a thread: %s", strerror(failed));
}

void gn__aside_start(gn__aside *a, void (*task)(void *arg), void *arg)
{
    pthread_mutex_lock(&a->lock);
    a->task = task;
    a->arg = arg;
    a->busy = true;
    pthread_cond_broadcast(&a->change);
    pthread_mutex_unlock(&a->lock);
}

void gn__aside_wait(gn__aside *a)
{
    pthread_mutex_lock(&a->lock);
    while (a->busy) pthread_cond_wait(&a->change, &a->lock);
    pthread_mutex_unlock(&a->lock);
}

void gn__aside_close(gn__aside *a)
{
    if (!a->open) return;
    pthread_mutex_lock(&a->lock);
    a->quit = true;
    pthread_cond_broadcast(&a->change);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    pthread_cond_destroy(&a->change);
    pthread_mutex_destroy(&a->lock);
    a->open = false;
}
