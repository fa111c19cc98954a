/* result.json as one set of tables: what each key holds and where it lies in gn_result. The writer and the
 * reader both walk them, so that neither can know a key that the other does not. */
#ifndef GENCHI_REPORT_JSON_FIELDS_H
#define GENCHI_REPORT_JSON_FIELDS_H

#include "core/core.h"
#include "genchi/report.h"

#define GN__SCHEMA_PREFIX "genchi.result/"
#define GN__SCHEMA GN__SCHEMA_PREFIX "1"

typedef enum gn__kind {
    GN__KIND_END,    /* of a table */
    GN__KIND_STRING, /* char *; null for NULL */
    GN__KIND_CHARS,  /* char[size], NUL-terminated */
    GN__KIND_NAME,   /* const char *, one of names (static storage); null for NULL */
    GN__KIND_BOOL,
    GN__KIND_GUARD, /* bool; when false only the next `size` fields are there */
    GN__KIND_INT,   /* int >= 0 */
    GN__KIND_UNSIGNED,
    GN__KIND_SIZE,
    GN__KIND_LINE,        /* int64_t >= 0 */
    GN__KIND_SEED,        /* uint64_t: an integer up to 2^53, a string of digits beyond */
    GN__KIND_DOUBLE,      /* shortest digits that read back the same; null for NaN */
    GN__KIND_FLOAT,       /* nine digits, which read back to the same float */
    GN__KIND_LABEL,       /* int, index of a class; null for -1 */
    GN__KIND_ENUM,        /* int-sized enum, by its name in names */
    GN__KIND_INTERVAL,    /* {estimate, low, high}; size 1: older results lack it, read as NaN */
    GN__KIND_OBJECT,      /* struct at offset, keys in `of` */
    GN__KIND_INLINE,      /* the same, its keys among this object's own */
    GN__KIND_OPTIONAL,    /* OBJECT, or null when the bool at `count` is false */
    GN__KIND_STEP,        /* OBJECT, or null when gn_result.steps lacks the flag `size` */
    GN__KIND_STEPS,       /* unsigned: names of its flags */
    GN__KIND_ARRAY,       /* pointer to structs of `size` bytes, size_t at `count` */
    GN__KIND_BY_CLASS,    /* pointer to structs, one a class; null for NULL */
    GN__KIND_CLASS_NAMES, /* char **, int at `count` */
    GN__KIND_CLASS_ROWS,  /* size_t *, one a class; null for NULL */
    GN__KIND_STRINGS,     /* char **, size_t at `count` */
    GN__KIND_PAIR,        /* double[2] */
    GN__KIND_NUMBERS,     /* double *, size_t at `count` */
    GN__KIND_GRID,        /* double *, `size` numbers of six digits; null for NULL */
    GN__KIND_MALFORMED,   /* the malformed rows of a gn_set_info (offset 0): [{line, reason}] */
    GN__KIND_REASONS      /* gn_reason[size], int at `count`: [{id, stance, values, text}] */
} gn__kind;

typedef struct gn__field {
    const char *key; /* NULL for INLINE */
    gn__kind kind;
    size_t offset, count, size;
    const struct gn__field *of;
    const char *const *names; /* ends in NULL */
} gn__field;

extern const gn__field gn__result_fields[];  /* base: gn_result; without "schema" */
extern const char *const gn__step_names[];   /* by bit of gn_result.steps; ends in NULL */
extern const char *const gn__stance_names[]; /* by gn_stance; ends in NULL */

/* Objects in arrays of these are written on one line. */
bool gn__is_flat(const gn__field *of);

#endif
