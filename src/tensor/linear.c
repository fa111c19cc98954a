/* Linear layers: by the products of our own where there are some for the type and the processor, else by
 * oneDNN's matmul over weights in the layout that it chooses. */
#include "tensor/tensor.h"

#include <dnnl.h>
#include <math.h>
#include <pthread.h>

/* From libgomp, which oneDNN runs on; declared here because clang has no <omp.h> for it. */
extern void omp_set_num_threads(int n);
extern int omp_get_max_threads(void);

struct gn__linear {
    size_t inputs, outputs;
    bool add, borrowed; /* borrowed: the weight lies with the caller, [inputs × outputs] */
    gn_dtype dtype;
    const gn__multiplier *own; /* NULL: oneDNN's */
    float *packed;             /* the weights for it */
    dnnl_engine_t engine;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t product;
    dnnl_memory_t weight, bias;
    /* INT8 or own: [outputs in whole steps] scales of the weights; the bias, which then oneDNN does not add
     */
    float *scale, *shift;
    int32_t *total; /* INT8: the same, sums of the rounded weights */
};

/* Memory objects carry the address they point at, so every lane has its own, one set a shape. */
typedef struct shape {
    size_t inputs, outputs;
    bool add, borrowed;
    gn_dtype dtype;
    dnnl_memory_t x, y, scratch;
} shape;

struct gn__lane {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    const gn__ops *ops;
    shape *shapes;
    size_t count;
    uint16_t *narrow; /* the block's inputs in bf16 */
    uint8_t *bytes;   /* the block's inputs in 8 bits */
    int32_t *sums;    /* and what their product gives */
    float *spare;     /* for the products of our own */
    gn__row8 row[GN__ROWS];
};

/* The types of a product's factors and of its result. */
static const struct {
    dnnl_data_type_t x, w, y;
} types[] = {[GN_DTYPE_F32] = {dnnl_f32, dnnl_f32, dnnl_f32},
             [GN_DTYPE_BF16] = {dnnl_bf16, dnnl_bf16, dnnl_f32},
             [GN_DTYPE_INT8] = {dnnl_u8, dnnl_s8, dnnl_s32}};

/* What a thread does wrong it must still hear of. */
static void all_but_faults(sigset_t *set)
{
    static const int fault[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigfillset(set);
    for (size_t i = 0; i < sizeof fault / sizeof *fault; i++) sigdelset(set, fault[i]);
}

gn__serial gn__serial_begin(void)
{
    gn__serial before = {.threads = omp_get_max_threads()};
    sigset_t blocked;
    all_but_faults(&blocked);
    pthread_sigmask(SIG_BLOCK, &blocked, &before.signals);
    omp_set_num_threads(1);
    return before;
}

void gn__serial_end(gn__serial before)
{
    omp_set_num_threads(before.threads);
    pthread_sigmask(SIG_SETMASK, &before.signals, NULL);
}

static gn_status dnnl_failed(dnnl_status_t status, gn_error *err)
{
    if (status == dnnl_out_of_memory) return gn__no_memory(err, 0);
    return gn__fail(err, GN_UNSUPPORTED, "oneDNN cannot do this matrix product here (status %d)",
                    (int)status);
}

#define DNNL_TRY(call, label)                        \
    do {                                             \
        dnnl_status_t dnnl_status_ = (call);         \
        if (dnnl_status_ != dnnl_success) {          \
            status = dnnl_failed(dnnl_status_, err); \
            goto label;                              \
        }                                            \
    } while (0)

gn_status gn__engine_create(gn__engine **out, gn_error *err)
{
    dnnl_status_t status = dnnl_engine_create(out, dnnl_cpu, 0);
    return status == dnnl_success ? GN_OK : dnnl_failed(status, err);
}

void gn__engine_free(gn__engine *engine)
{
    dnnl_engine_destroy(engine);
}

static gn_status describe(gn__linear *l, bool with_bias, gn_error *err)
{
    gn_status status = GN_OK;
    dnnl_dims_t xd = {GN__ROWS, (dnnl_dim_t)l->inputs}, yd = {GN__ROWS, (dnnl_dim_t)l->outputs};
    dnnl_dims_t wd = {(dnnl_dim_t)l->inputs, (dnnl_dim_t)l->outputs}, bd = {1, (dnnl_dim_t)l->outputs};
    dnnl_memory_desc_t x, w, b, y;
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t after = NULL;
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&x, 2, xd, types[l->dtype].x, dnnl_ab), done);
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&w, 2, wd, types[l->dtype].w,
                                          l->borrowed ? dnnl_ab : dnnl_format_tag_any),
             done);
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&b, 2, bd, dnnl_f32, dnnl_ab), done);
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&y, 2, yd, types[l->dtype].y, dnnl_ab), done);
    DNNL_TRY(dnnl_matmul_desc_init(&matmul, &x, &w, with_bias ? &b : NULL, &y), done);
    DNNL_TRY(dnnl_primitive_attr_create(&attributes), done);
    DNNL_TRY(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user), done);
    if (l->add && l->dtype != GN_DTYPE_INT8) {
        DNNL_TRY(dnnl_post_ops_create(&after), done);
        DNNL_TRY(dnnl_post_ops_append_sum(after, 1.0f), done);
        DNNL_TRY(dnnl_primitive_attr_set_post_ops(attributes, after), done);
    }
    DNNL_TRY(dnnl_primitive_desc_create(&l->description, &matmul, attributes, l->engine, NULL), done);
    DNNL_TRY(dnnl_primitive_create(&l->product, l->description), done);
done:
    dnnl_post_ops_destroy(after);
    dnnl_primitive_attr_destroy(attributes);
    return status;
}

/* Copies the weight (of type `given_type`; turned: [inputs × outputs]) and the bias into the layout and type
 * of the product. */
static gn_status pack(gn__linear *l, const void *weight, bool turned, dnnl_data_type_t given_type,
                      const float *bias, gn_error *err)
{
    gn_status status = GN_OK;
    dnnl_dims_t wd = {(dnnl_dim_t)l->inputs, (dnnl_dim_t)l->outputs};
    dnnl_memory_desc_t given;
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t reorder_description = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_stream_t stream = NULL;
    const dnnl_memory_desc_t *packed = dnnl_primitive_desc_query_md(l->description, dnnl_query_weights_md, 0);
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&given, 2, wd, given_type, turned ? dnnl_ab : dnnl_ba), done);
    DNNL_TRY(dnnl_memory_create(&from, &given, l->engine, (void *)(uintptr_t)weight), done);
    if (l->weight == NULL)
        DNNL_TRY(dnnl_memory_create(&l->weight, packed, l->engine, DNNL_MEMORY_ALLOCATE), done);
    DNNL_TRY(
        dnnl_reorder_primitive_desc_create(&reorder_description, &given, l->engine, packed, l->engine, NULL),
        done);
    DNNL_TRY(dnnl_primitive_create(&reorder, reorder_description), done);
    DNNL_TRY(dnnl_stream_create(&stream, l->engine, dnnl_stream_default_flags), done);
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, l->weight}};
    DNNL_TRY(dnnl_primitive_execute(reorder, stream, 2, args), done);
    DNNL_TRY(dnnl_stream_wait(stream), done);
    if (bias != NULL) {
        dnnl_dims_t bd = {1, (dnnl_dim_t)l->outputs};
        dnnl_memory_desc_t b;
        void *copy;
        DNNL_TRY(dnnl_memory_desc_init_by_tag(&b, 2, bd, dnnl_f32, dnnl_ab), done);
        if (l->bias == NULL)
            DNNL_TRY(dnnl_memory_create(&l->bias, &b, l->engine, DNNL_MEMORY_ALLOCATE), done);
        DNNL_TRY(dnnl_memory_get_data_handle(l->bias, &copy), done);
        memcpy(copy, bias, l->outputs * sizeof *bias);
    }
done:
    dnnl_stream_destroy(stream);
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(reorder_description);
    dnnl_memory_destroy(from);
    return status;
}

/* More could overflow sums of 32 bits: 255 · 127 each. */
enum { MOST_INPUTS = 1 << 16 };

/* Without VNNI oneDNN adds pairs of products in 16 bits, which overflow. */
static bool exact_int8(void)
{
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_vnni) == dnnl_cpu_isa_avx512_core_vnni ||
           dnnl_get_effective_cpu_isa() == dnnl_cpu_isa_avx2_vnni;
}

/* Each output's weights to −127 … 127 on a scale of its own; a NaN among them makes the scale NaN. */
static void round_weights(gn__linear *l, const float *weight, int8_t *q)
{
    for (size_t j = 0; j < l->outputs; j++, weight += l->inputs, q += l->inputs) {
        float most = 0, odd = 0;
        int32_t total = 0;
        for (size_t i = 0; i < l->inputs; i++) {
            float size = fabsf(weight[i]);
            if (size > most) most = size;
            odd += 0 * size;
        }
        float inverse = most > 1e-30f && odd == 0 ? 127 / most : 0;
        for (size_t i = 0; i < l->inputs; i++) {
            q[i] = (int8_t)(inverse > 0 ? nearbyintf(weight[i] * inverse) : 0);
            total += q[i];
        }
        l->scale[j] = (inverse > 0 ? most / 127 : 0) + odd;
        l->total[j] = total;
    }
}

/* Scale, bias and sums of the outputs, zeros behind them for the last step. */
static gn_status make_columns(gn__linear *l, const float *bias, gn_error *err)
{
    enum { MOST_STEP = 2 * GN__LANES };
    size_t n = l->outputs + MOST_STEP;
    l->shift = gn__aligned(n, sizeof *l->shift);
    l->scale = gn__aligned(l->dtype == GN_DTYPE_INT8 ? n : 1, sizeof *l->scale);
    l->total = gn__aligned(l->dtype == GN_DTYPE_INT8 ? n : 1, sizeof *l->total);
    if (l->shift == NULL || l->scale == NULL || l->total == NULL)
        return gn__no_memory(err, n * sizeof(float));
    memset(l->shift, 0, n * sizeof *l->shift);
    if (bias != NULL) memcpy(l->shift, bias, l->outputs * sizeof *bias);
    if (l->dtype != GN_DTYPE_INT8) return GN_OK;
    memset(l->scale, 0, n * sizeof *l->scale);
    memset(l->total, 0, n * sizeof *l->total);
    return GN_OK;
}

static gn_status pack_own(gn__linear *l, const void *weight, gn_error *err)
{
    size_t n = gn__product_weights(l->own, l->inputs, l->outputs);
    float *spare = gn__aligned(l->own->step * l->inputs, sizeof *spare);
    l->packed = gn__aligned(n, sizeof *l->packed);
    if (spare == NULL || l->packed == NULL) {
        free(spare);
        return gn__no_memory(err, n * sizeof *l->packed);
    }
    l->own->pack(weight, l->inputs, l->outputs, spare, l->packed);
    free(spare);
    return GN_OK;
}

static gn_status pack_int8(gn__linear *l, const float *weight, gn_error *err)
{
    int8_t *q = gn__aligned(l->outputs, l->inputs);
    if (q == NULL) return gn__no_memory(err, l->outputs * l->inputs);
    round_weights(l, weight, q);
    gn_status status = l->own != NULL ? pack_own(l, q, err) : pack(l, q, false, dnnl_s8, NULL, err);
    free(q);
    return status;
}

gn_status gn__linear_create_with(const gn__multiplier *own, gn__engine *engine, const float *weight,
                                 const float *bias, size_t inputs, size_t outputs, bool add, gn_dtype dtype,
                                 gn__linear **out, gn_error *err)
{
    gn_status status;
    gn__linear *l = gn__calloc(1, sizeof *l);
    if (l == NULL) return gn__no_memory(err, sizeof *l);
    *l = (gn__linear){.engine = engine, .inputs = inputs, .outputs = outputs, .add = add, .dtype = dtype};
    l->own = own;
    bool int8 = dtype == GN_DTYPE_INT8;
    if (int8 && (!exact_int8() || inputs > MOST_INPUTS)) {
        free(l);
        return gn__fail(err, GN_UNSUPPORTED, "this processor cannot sum 8-bit products of %zu inputs",
                        inputs);
    }
    gn__serial before = gn__serial_begin();
    if (l->own == NULL) GN__TRY_GOTO(describe(l, bias != NULL && !int8, err), done);
    if (l->own != NULL || int8) GN__TRY_GOTO(make_columns(l, bias, err), done);
    if (int8)
        GN__TRY_GOTO(pack_int8(l, weight, err), done);
    else if (l->own != NULL)
        GN__TRY_GOTO(pack_own(l, weight, err), done);
    else if (weight != NULL)
        GN__TRY_GOTO(pack(l, weight, false, dnnl_f32, bias, err), done);
    *out = l;
    l = NULL;
    status = GN_OK;
done:
    gn__serial_end(before);
    gn__linear_free(l);
    return status;
}

gn_status gn__linear_create(gn__engine *engine, const float *weight, const float *bias, size_t inputs,
                            size_t outputs, bool add, gn_dtype dtype, gn__linear **out, gn_error *err)
{
    /* What is packed anew at every step is oneDNN's. */
    return gn__linear_create_with(weight != NULL ? gn__product_for(dtype) : NULL, engine, weight, bias,
                                  inputs, outputs, add, dtype, out, err);
}

gn_status gn__linear_borrow(gn__engine *engine, size_t inputs, size_t outputs, gn__linear **out,
                            gn_error *err)
{
    gn_status status = GN_OK;
    gn__linear *l = gn__calloc(1, sizeof *l);
    if (l == NULL) return gn__no_memory(err, sizeof *l);
    *l = (gn__linear){
        .engine = engine, .inputs = inputs, .outputs = outputs, .borrowed = true, .dtype = GN_DTYPE_F32};
    gn__serial before = gn__serial_begin();
    GN__TRY_GOTO(describe(l, false, err), done);
    DNNL_TRY(dnnl_memory_create(&l->weight,
                                dnnl_primitive_desc_query_md(l->description, dnnl_query_weights_md, 0),
                                engine, DNNL_MEMORY_NONE),
             done);
    *out = l;
    l = NULL;
done:
    gn__serial_end(before);
    gn__linear_free(l);
    return status;
}

gn_status gn__linear_lend(gn__linear *l, const float *weight, gn_error *err)
{
    dnnl_status_t status = dnnl_memory_set_data_handle(l->weight, (void *)(uintptr_t)weight);
    return status == dnnl_success ? GN_OK : dnnl_failed(status, err);
}

gn_status gn__linear_renew(gn__linear *l, const float *weight, bool turned, const float *bias, gn_error *err)
{
    gn__serial before = gn__serial_begin();
    gn_status status = pack(l, weight, turned, dnnl_f32, bias, err);
    gn__serial_end(before);
    return status;
}

void gn__linear_free(gn__linear *l)
{
    if (l == NULL) return;
    dnnl_memory_destroy(l->weight);
    dnnl_memory_destroy(l->bias);
    dnnl_primitive_destroy(l->product);
    dnnl_primitive_desc_destroy(l->description);
    free(l->packed);
    free(l->scale);
    free(l->shift);
    free(l->total);
    free(l);
}

size_t gn__linear_inputs(const gn__linear *l)
{
    return l->inputs;
}

size_t gn__linear_outputs(const gn__linear *l)
{
    return l->outputs;
}

bool gn__linear_any_rows(const gn__linear *l)
{
    return l->own != NULL;
}

static shape *find_shape(gn__lane *lane, const gn__linear *l)
{
    for (size_t i = 0; i < lane->count; i++) {
        shape *s = &lane->shapes[i];
        if (s->inputs == l->inputs && s->outputs == l->outputs && s->add == l->add &&
            s->borrowed == l->borrowed && s->dtype == l->dtype)
            return s;
    }
    return NULL;
}

static gn_status add_shape(gn__lane *lane, const gn__linear *l, gn_error *err)
{
    gn_status status = GN_OK;
    shape *s = &lane->shapes[lane->count++];
    *s = (shape){.inputs = l->inputs,
                 .outputs = l->outputs,
                 .add = l->add,
                 .borrowed = l->borrowed,
                 .dtype = l->dtype};
    dnnl_primitive_desc_t d = l->description;
    DNNL_TRY(dnnl_memory_create(&s->x, dnnl_primitive_desc_query_md(d, dnnl_query_src_md, 0), lane->engine,
                                DNNL_MEMORY_NONE),
             done);
    DNNL_TRY(dnnl_memory_create(&s->y, dnnl_primitive_desc_query_md(d, dnnl_query_dst_md, 0), lane->engine,
                                DNNL_MEMORY_NONE),
             done);
    DNNL_TRY(dnnl_memory_create(&s->scratch, dnnl_primitive_desc_query_md(d, dnnl_query_scratchpad_md, 0),
                                lane->engine, DNNL_MEMORY_ALLOCATE),
             done);
done:
    return status;
}

gn_status gn__lane_create(gn__engine *engine, const gn__linear *const *layers, size_t count, gn__lane **out,
                          gn_error *err)
{
    gn_status status;
    size_t widest = 0, most_outputs = 0, own = 0;
    gn__lane *lane = gn__calloc(1, sizeof *lane);
    if (lane == NULL) return gn__no_memory(err, sizeof *lane);
    lane->ops = gn__cpu_ops();
    lane->shapes = gn__calloc(count, sizeof *lane->shapes);
    for (size_t i = 0; i < count; i++) {
        if (layers[i]->inputs > widest) widest = layers[i]->inputs;
        if (layers[i]->outputs > most_outputs) most_outputs = layers[i]->outputs;
        own += layers[i]->own != NULL;
    }
    if (own == count) {
        lane->spare = gn__aligned(gn__product_spare(GN__ROWS, widest), sizeof *lane->spare);
        if (lane->spare == NULL) {
            status = gn__no_memory(err, gn__product_spare(GN__ROWS, widest) * sizeof *lane->spare);
            goto done;
        }
        *out = lane;
        return GN_OK;
    }
    lane->narrow = gn__aligned(widest, GN__ROWS * sizeof *lane->narrow);
    lane->bytes = gn__aligned(widest, GN__ROWS * sizeof *lane->bytes);
    lane->sums = gn__aligned(most_outputs, GN__ROWS * sizeof *lane->sums);
    if (lane->shapes == NULL || lane->narrow == NULL || lane->bytes == NULL || lane->sums == NULL) {
        status = gn__no_memory(err, count * sizeof *lane->shapes);
        goto done;
    }
    lane->engine = engine;
    DNNL_TRY(dnnl_stream_create(&lane->stream, lane->engine, dnnl_stream_default_flags), done);
    for (size_t i = 0; i < count; i++)
        if (find_shape(lane, layers[i]) == NULL) GN__TRY_GOTO(add_shape(lane, layers[i], err), done);
    status = GN_OK;
    *out = lane;
    lane = NULL;
done:
    gn__lane_free(lane);
    return status;
}

void gn__lane_free(gn__lane *lane)
{
    if (lane == NULL) return;
    for (size_t i = 0; i < lane->count; i++) {
        dnnl_memory_destroy(lane->shapes[i].x);
        dnnl_memory_destroy(lane->shapes[i].y);
        dnnl_memory_destroy(lane->shapes[i].scratch);
    }
    dnnl_stream_destroy(lane->stream);
    free(lane->spare);
    free(lane->narrow);
    free(lane->bytes);
    free(lane->sums);
    free(lane->shapes);
    free(lane);
}

/* x: in the product's type. */
static bool multiply(const gn__linear *l, gn__lane *lane, const void *x, void *y)
{
    shape *s = find_shape(lane, l);
    if (s == NULL || dnnl_memory_set_data_handle(s->x, (void *)(uintptr_t)x) != dnnl_success ||
        dnnl_memory_set_data_handle(s->y, y) != dnnl_success)
        return false;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, s->x},
                              {DNNL_ARG_WEIGHTS, l->weight},
                              {DNNL_ARG_DST, s->y},
                              {DNNL_ARG_SCRATCHPAD, s->scratch},
                              {DNNL_ARG_BIAS, l->bias}};
    return dnnl_primitive_execute(l->product, lane->stream, l->bias != NULL ? 5 : 4, args) == dnnl_success;
}

static bool run_int8(const gn__linear *l, gn__lane *lane, const float *x, float *y, gn__activation activation)
{
    lane->ops->to_u8(lane->bytes, lane->row, x, GN__ROWS, l->inputs);
    if (!multiply(l, lane, lane->bytes, lane->sums)) return false;
    gn__sums s = {.sum = lane->sums,
                  .row = lane->row,
                  .scale = l->scale,
                  .bias = l->shift,
                  .total = l->total,
                  .rows = GN__ROWS,
                  .cols = l->outputs,
                  .add = l->add,
                  .activation = activation};
    lane->ops->from_sums(&s, y);
    return true;
}

static void run_own(const gn__linear *l, gn__lane *lane, gn__member *member, size_t rows, const float *x,
                    float *y, gn__activation activation)
{
    size_t first, end;
    gn__product_call c = {.x = x,
                          .rows = rows,
                          .inputs = l->inputs,
                          .outputs = l->outputs,
                          .weight = l->packed,
                          .bias = l->shift,
                          .scale = l->scale,
                          .total = l->total,
                          .add = l->add,
                          .activation = activation,
                          .y = y,
                          .spare = lane->spare};
    /* each member lays for itself: measured, that is less than fetching what others have laid */
    for (bool laid = false; gn__take_piece(member, l->outputs, l->own->step, &first, &end); laid = true) {
        if (!laid) l->own->lay(&c);
        c.then = first + (end - first) * gn__members(member);
        l->own->run(&c, first, end);
    }
}

bool gn__linear_run_rows(const gn__linear *l, gn__lane *lane, gn__member *member, size_t rows, const float *x,
                         float *y, gn__activation activation)
{
    if (l->own != NULL) {
        run_own(l, lane, member, rows, x, y, activation);
        return true;
    }
    const void *in = x;
    if (l->dtype == GN_DTYPE_INT8) return run_int8(l, lane, x, y, activation);
    if (l->dtype == GN_DTYPE_BF16) {
        lane->ops->to_bf16(lane->narrow, x, GN__ROWS * l->inputs);
        in = lane->narrow;
    }
    if (!multiply(l, lane, in, y)) return false;
    if (activation != GN__NO_ACTIVATION) lane->ops->activate(activation, y, GN__ROWS * l->outputs);
    return true;
}

bool gn__linear_run(const gn__linear *l, gn__lane *lane, const float *x, float *y)
{
    return gn__linear_run_rows(l, lane, &(gn__member){0}, GN__ROWS, x, y, GN__NO_ACTIVATION);
}

bool gn__linear_run_bf16(const gn__linear *l, gn__lane *lane, const uint16_t *x, float *y)
{
    return l->dtype == GN_DTYPE_BF16 && multiply(l, lane, x, y);
}
