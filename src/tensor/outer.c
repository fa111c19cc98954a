#include "tensor/outer.h"

#include <dnnl.h>

/* A primitive has a fixed number of rows, so any number is made of these, the largest first. The largest keep
 * a piece of x and y in the second-level cache; small ones cost more traffic to w. */
enum { SIZES = 4 };
static const size_t run_rows[SIZES] = {8 * GN__ROWS, 4 * GN__ROWS, 2 * GN__ROWS, GN__ROWS};

/* For tiles of one height; the last tile may be lower. */
typedef struct product {
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
} product;

struct gn__outer {
    dnnl_engine_t engine;
    size_t outputs, inputs, y_stride, x_stride, tile, pieces, width, scratch;
    product product[2][SIZES]; /* of whole tiles, of the last */
};

static gn_status failed(dnnl_status_t status, gn_error *err)
{
    if (status == dnnl_out_of_memory) return gn__no_memory(err, 0);
    return gn__fail(err, GN_UNSUPPORTED, "oneDNN cannot do this matrix product here (status %d)",
                    (int)status);
}

static dnnl_status_t describe(const gn__outer *o, size_t height, size_t rows, dnnl_data_type_t type,
                              product *p)
{
    dnnl_dim_t M = (dnnl_dim_t)height, K = (dnnl_dim_t)rows, N = (dnnl_dim_t)o->inputs;
    dnnl_dims_t yd = {M, K}, ys = {1, (dnnl_dim_t)o->y_stride}, xd = {K, N};
    dnnl_dims_t xs = {(dnnl_dim_t)o->x_stride, 1}, wd = {M, N}, ws = {N, 1};
    dnnl_memory_desc_t y, x, w;
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t after = NULL;
    dnnl_status_t s = dnnl_memory_desc_init_by_strides(&y, 2, yd, type, ys);
    if (s == dnnl_success) s = dnnl_memory_desc_init_by_strides(&x, 2, xd, type, xs);
    if (s == dnnl_success) s = dnnl_memory_desc_init_by_strides(&w, 2, wd, dnnl_f32, ws);
    if (s == dnnl_success) s = dnnl_matmul_desc_init(&matmul, &y, &x, NULL, &w);
    if (s == dnnl_success) s = dnnl_primitive_attr_create(&attributes);
    if (s == dnnl_success) s = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
    if (s == dnnl_success) s = dnnl_post_ops_create(&after);
    if (s == dnnl_success) s = dnnl_post_ops_append_sum(after, 1.0f);
    if (s == dnnl_success) s = dnnl_primitive_attr_set_post_ops(attributes, after);
    if (s == dnnl_success)
        s = dnnl_primitive_desc_create(&p->description, &matmul, attributes, o->engine, NULL);
    if (s == dnnl_success) s = dnnl_primitive_create(&p->primitive, p->description);
    dnnl_post_ops_destroy(after);
    dnnl_primitive_attr_destroy(attributes);
    return s;
}

gn_status gn__outer_create(gn__engine *engine, size_t outputs, size_t y_stride, size_t inputs,
                           size_t x_stride, gn_dtype dtype, gn__outer **out, gn_error *err)
{
    dnnl_data_type_t type = dtype == GN_DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
    gn__outer *o = gn__calloc(1, sizeof *o);
    if (o == NULL) return gn__no_memory(err, sizeof *o);
    size_t tiles = (outputs + GN__OUTER_TILE - 1) / GN__OUTER_TILE;
    *o = (gn__outer){.engine = engine,
                     .outputs = outputs,
                     .inputs = inputs,
                     .y_stride = y_stride,
                     .x_stride = x_stride,
                     .width = type == dnnl_bf16 ? 2 : 4};
    o->tile = ((outputs + tiles - 1) / tiles + 15) / 16 * 16; /* whole vectors */
    o->pieces = (outputs + o->tile - 1) / o->tile;
    size_t last = outputs - (o->pieces - 1) * o->tile;
    gn__serial before =
        gn__serial_begin(); /* a primitive runs as many threads as there were when it was made */
    dnnl_status_t s = dnnl_success;
    for (int kind = 0; kind < 2; kind++)
        for (size_t i = 0; i < SIZES && (kind == 1 || o->pieces > 1) && s == dnnl_success; i++) {
            product *p = &o->product[kind][i];
            s = describe(o, kind ? last : o->tile, run_rows[i], type, p);
            if (s != dnnl_success) break;
            size_t bytes = dnnl_memory_desc_get_size(
                dnnl_primitive_desc_query_md(p->description, dnnl_query_scratchpad_md, 0));
            if (bytes > o->scratch) o->scratch = bytes;
        }
    gn__serial_end(before);
    if (s != dnnl_success) {
        gn__outer_free(o);
        return failed(s, err);
    }
    *out = o;
    return GN_OK;
}

void gn__outer_free(gn__outer *o)
{
    if (o == NULL) return;
    for (int kind = 0; kind < 2; kind++)
        for (size_t i = 0; i < SIZES; i++) {
            dnnl_primitive_destroy(o->product[kind][i].primitive);
            dnnl_primitive_desc_destroy(o->product[kind][i].description);
        }
    free(o);
}

size_t gn__outer_pieces(const gn__outer *o)
{
    return o->pieces;
}

size_t gn__outer_scratch(const gn__outer *o)
{
    return o->scratch;
}

static dnnl_status_t at(const product *p, dnnl_query_t which, dnnl_engine_t engine, const void *data,
                        dnnl_memory_t *out)
{
    return dnnl_memory_create(out, dnnl_primitive_desc_query_md(p->description, which, 0), engine,
                              (void *)(uintptr_t)data);
}

static bool run(const gn__outer *o, const product *p, dnnl_stream_t stream, const void *y, const void *x,
                float *w, void *scratch)
{
    dnnl_memory_t m[4] = {NULL};
    dnnl_status_t s = at(p, dnnl_query_src_md, o->engine, y, &m[0]);
    if (s == dnnl_success) s = at(p, dnnl_query_weights_md, o->engine, x, &m[1]);
    if (s == dnnl_success) s = at(p, dnnl_query_dst_md, o->engine, w, &m[2]);
    if (s == dnnl_success) s = at(p, dnnl_query_scratchpad_md, o->engine, scratch, &m[3]);
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, m[0]}, {DNNL_ARG_WEIGHTS, m[1]}, {DNNL_ARG_DST, m[2]}, {DNNL_ARG_SCRATCHPAD, m[3]}};
    if (s == dnnl_success) s = dnnl_primitive_execute(p->primitive, stream, 4, args);
    for (int i = 0; i < 4; i++) dnnl_memory_destroy(m[i]);
    return s == dnnl_success;
}

bool gn__outer_run(const gn__outer *o, size_t piece, const void *y, const void *x, size_t rows, float *w,
                   void *scratch)
{
    dnnl_stream_t stream;
    bool last = piece + 1 == o->pieces, good = true;
    const char *from = (const char *)y + piece * o->tile * o->width, *by = x;
    if (dnnl_stream_create(&stream, o->engine, dnnl_stream_default_flags) != dnnl_success) return false;
    for (size_t i = 0; i < SIZES; i++)
        for (; rows >= run_rows[i] && good; rows -= run_rows[i]) {
            good = run(o, &o->product[last][i], stream, from, by, w + piece * o->tile * o->inputs, scratch);
            from += run_rows[i] * o->y_stride * o->width;
            by += run_rows[i] * o->x_stride * o->width;
        }
    dnnl_stream_destroy(stream);
    return good;
}
