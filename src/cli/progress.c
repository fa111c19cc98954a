/* Progress on a terminal, Ctrl-C, and what stdout looks like. */
#include "cli/cli.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BAR = 20 };

/* The one running command's progress: the library calls back with a pointer to it. */
static struct {
    gn_lang lang;
    gn_stage stage;
    double began, shown; /* seconds */
    size_t first;        /* done when the stage began: found finished */
    const char *stopped; /* cli_stopped_with */
    double loss, rate;   /* of a training under way */
    bool drawn;
} line;

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
    signal(SIGINT, SIG_DFL); /* a second Ctrl-C ends the process at once */
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void duration(double seconds, char out[32])
{
    long s = (long)(seconds + 0.5);
    if (s < 60)
        snprintf(out, 32, "%ld s", s);
    else if (s < 3600)
        snprintf(out, 32, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(out, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

static void quantity(double x, char out[32])
{
    if (x >= 100)
        snprintf(out, 32, "%.0f", x);
    else
        snprintf(out, 32, "%.1f", x);
}

void cli_progress_clear(void)
{
    if (line.drawn) fputs("\r\033[K", stderr);
    line.drawn = false;
}

static void on_learning(void *data, double loss, double rate)
{
    (void)data;
    line.loss = loss;
    line.rate = rate;
}

/* What stands behind the time left: loss and learning rate of a training; else nothing. */
static void learning(char *out, size_t size)
{
    char loss[32], rate[32];
    out[0] = '\0';
    if (line.stage != GN_STAGE_TUNE || !isfinite(line.loss)) return;
    snprintf(loss, sizeof loss, "%.3f", line.loss);
    snprintf(rate, sizeof rate, "%.2g", line.rate);
    snprintf(out, size, cli_text(line.lang, CLI_S_LEARNING), loss, rate);
}

/* Nothing is drawn in the first second of a stage, then ten times a second at the most. */
static void on_progress(void *data, gn_stage stage, size_t done, size_t total)
{
    (void)data;
    double t = now();
    if (stage != line.stage || done == 0) {
        cli_progress_clear();
        line.stage = stage;
        line.began = t;
        line.first = done;
        if (stage != GN_STAGE_TUNE) line.loss = NAN;
    }
    if (done >= total || t - line.began < 1 || t - line.shown < 0.1 || total == 0) return;
    line.shown = t;
    if (stage == GN_STAGE_DOWNLOAD) done /= 1000000, total /= 1000000;
    if (total == 0) return;
    char rate[32], left[32], rate_text[64], left_text[64], more[96], bar[BAR + 1];
    double speed = (double)(done - line.first) / (t - line.began);
    quantity(speed, rate);
    duration((double)(total - done) / (speed > 0 ? speed : 1), left);
    snprintf(rate_text, sizeof rate_text, cli_text(line.lang, CLI_S_A_SECOND), rate);
    snprintf(left_text, sizeof left_text, cli_text(line.lang, CLI_S_TIME_LEFT), left);
    learning(more, sizeof more);
    size_t filled = BAR * done / total;
    for (size_t i = 0; i < BAR; i++) bar[i] = i < filled ? '#' : '.';
    bar[BAR] = '\0';
    fprintf(stderr, "\r\033[K%s [%s] %zu/%zu  %s  %s%s",
            cli_text(line.lang, (cli_string)(CLI_S_STAGE_READ + (int)stage)), bar, done, total, rate_text,
            left_text, more);
    line.drawn = true;
}

void cli_stopped_with(const char *message)
{
    line.stopped = message;
}

gn_context *cli_context(const cli_args *a)
{
    gn_error err = {.lang = a->lang};
    gn_context *ctx = NULL;
    gn_context_options o = {.threads = (unsigned)a->threads, .seed = a->seed, .cancel = &interrupted};
    line.lang = a->lang;
    line.stage = GN_STAGE_COUNT;
    line.loss = NAN;
    if (!a->quiet && isatty(STDERR_FILENO)) o.progress = on_progress, o.learning = on_learning;
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (gn_context_create(&o, &ctx, &err) != GN_OK) cli_failed(a, &err);
    return ctx;
}

void cli_context_free(gn_context *ctx)
{
    cli_progress_clear();
    gn_context_free(ctx);
    if (interrupted) {
        if (line.stopped != NULL)
            fputs(line.stopped, stderr);
        else
            fprintf(stderr, "genchi: %s\n", cli_text(line.lang, CLI_S_STOPPED));
        signal(SIGINT, SIG_DFL);
        raise(SIGINT);
    }
}

unsigned cli_columns_of_terminal(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
        return size.ws_col > 120 ? 120 : size.ws_col;
    return 80;
}

bool cli_colour(const cli_args *a)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    return !a->no_color && (no_color == NULL || *no_color == '\0') && isatty(STDOUT_FILENO) && term != NULL &&
           strcmp(term, "dumb") != 0;
}
