/* What oneDNN's matrix products reach here, one thread: "type GFLOP/s" a line, by CPU time (medians of 5).
 * The shape is that of docs/speed.md: 4096 × 768 × 3072, weights packed beforehand. */
#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern void omp_set_num_threads(int n); /* libgomp's, as in src/tensor/linear.c */

enum { ROWS = 4096, INPUTS = 768, OUTPUTS = 3072, TIMES = 5 };

static void need(dnnl_status_t status)
{
    if (status == dnnl_success) return;
    fprintf(stderr, "oneDNN: status %d\n", (int)status);
    exit(1);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Memory that holds zeros: their product takes as long as any. */
static dnnl_memory_t memory(dnnl_engine_t engine, const dnnl_memory_desc_t *d)
{
    dnnl_memory_t m;
    void *p;
    need(dnnl_memory_create(&m, d, engine, DNNL_MEMORY_ALLOCATE));
    need(dnnl_memory_get_data_handle(m, &p));
    memset(p, 0, dnnl_memory_desc_get_size(d));
    return m;
}

static double rate(dnnl_engine_t engine, dnnl_stream_t stream, dnnl_data_type_t x_type,
                   dnnl_data_type_t w_type, dnnl_data_type_t y_type)
{
    dnnl_dims_t xd = {ROWS, INPUTS}, wd = {INPUTS, OUTPUTS}, yd = {ROWS, OUTPUTS};
    dnnl_memory_desc_t x, w, y;
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t product;
    double seconds[TIMES];
    need(dnnl_memory_desc_init_by_tag(&x, 2, xd, x_type, dnnl_ab));
    need(dnnl_memory_desc_init_by_tag(&w, 2, wd, w_type, dnnl_format_tag_any));
    need(dnnl_memory_desc_init_by_tag(&y, 2, yd, y_type, dnnl_ab));
    need(dnnl_matmul_desc_init(&matmul, &x, &w, NULL, &y));
    if (dnnl_primitive_desc_create(&description, &matmul, NULL, engine, NULL) != dnnl_success) return 0;
    need(dnnl_primitive_create(&product, description));
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, memory(engine, dnnl_primitive_desc_query_md(description, dnnl_query_src_md, 0))},
        {DNNL_ARG_WEIGHTS,
         memory(engine, dnnl_primitive_desc_query_md(description, dnnl_query_weights_md, 0))},
        {DNNL_ARG_DST, memory(engine, dnnl_primitive_desc_query_md(description, dnnl_query_dst_md, 0))}};
    need(dnnl_primitive_execute(product, stream, 3, args));
    for (int i = 0; i < TIMES; i++) {
        double start = cpu_seconds();
        need(dnnl_primitive_execute(product, stream, 3, args));
        need(dnnl_stream_wait(stream));
        seconds[i] = cpu_seconds() - start;
    }
    for (int i = 0; i < 3; i++) dnnl_memory_destroy(args[i].memory);
    dnnl_primitive_destroy(product);
    dnnl_primitive_desc_destroy(description);
    qsort(seconds, TIMES, sizeof *seconds, by_size);
    return 2e-9 * ROWS * INPUTS * OUTPUTS / seconds[TIMES / 2];
}

int main(void)
{
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    omp_set_num_threads(1);
    need(dnnl_engine_create(&engine, dnnl_cpu, 0));
    need(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    printf("float32 %.1f\n", rate(engine, stream, dnnl_f32, dnnl_f32, dnnl_f32));
    printf("bf16 %.1f\n", rate(engine, stream, dnnl_bf16, dnnl_bf16, dnnl_f32));
    printf("int8 %.1f\n", rate(engine, stream, dnnl_u8, dnnl_s8, dnnl_s32));
    dnnl_stream_destroy(stream);
    dnnl_engine_destroy(engine);
    return 0;
}
