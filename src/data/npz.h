/* .npz archives, and columns of values beside a matrix. */
#ifndef GENCHI_DATA_NPZ_H
#define GENCHI_DATA_NPZ_H

#include "core/core.h"

/* The roles that an array's name gives it. */
typedef enum gn__vector_role {
    GN__VECTORS,
    GN__VECTOR_LABELS,
    GN__VECTOR_IDS,
    GN__VECTOR_GROUPS,
    GN__VECTOR_ROLES
} gn__vector_role;

/* One-dimensional arrays as text; value NULL: not there. */
typedef struct gn__vector_columns {
    char **value[GN__VECTOR_ROLES]; /* [count]; in arena. GN__VECTORS is not used */
    size_t count[GN__VECTOR_ROLES];
    gn__arena arena;
} gn__vector_columns;
void gn__vector_columns_free(gn__vector_columns *c);

/* Gives each role its name's place in names, -1 where it has none: the names in vectors.h, the earlier one
 * first; the matrix else by being alone. Errors: GN_FORMAT (no matrix: lists the names). */
gn_status gn__vector_roles(const char *path, char *const *names, size_t n, int at[GN__VECTOR_ROLES],
                           gn_error *err);

/* Errors: those of gn__zip_open and of gn__npy_parse. */
gn_status gn__npz_parse(const char *path, const unsigned char *data, size_t size, gn_matrix *x,
                        gn__vector_columns *columns, gn_error *err);

#endif
