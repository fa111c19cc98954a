#include "tensor/finite.h"
#include "tensor/units.h"
#include "test.h"

TEST(units_collect_rows_by_group)
{
    static const uint32_t group[] = {7, 2, UINT32_MAX, 7, 2, 7};
    static const uint32_t row[] = {0, 3, 5, 1, 4, 2}, of[] = {0, 1, 2, 0, 1, 0};
    static const size_t start[] = {0, 3, 5, 6};
    gn_error err = {0};
    gn__units u;
    CHECK_OK(gn__units_make(group, 6, &u, &err), err);
    CHECK_INT(u.count, 3);
    CHECK(memcmp(u.row, row, sizeof row) == 0 && memcmp(u.start, start, sizeof start) == 0);
    CHECK(memcmp(u.of, of, sizeof of) == 0);
    gn__units_free(&u);
    CHECK(u.row == NULL && u.count == 0);
    CHECK_OK(gn__units_make(NULL, 4, &u, &err), err);
    CHECK_INT(u.count, 4);
    for (uint32_t i = 0; i < 4; i++) CHECK(u.row[i] == i && u.start[i + 1] == i + 1);
    gn__units_free(&u);
    CHECK_OK(gn__units_make(group, 0, &u, &err), err);
    CHECK_INT(u.count, 0);
    gn__units_free(&u);
    CHECK_INT(gn__units_make(NULL, UINT32_MAX, &u, &err), GN_NO_MEMORY);
}

/* Every place of a matrix that spans several pieces and a ragged end. */
TEST(finite_names_the_first_bad_place)
{
    enum { ROWS = 1003, COLS = 97 };
    gn_context *ctx = NULL;
    gn_error err = {0};
    gn_matrix m;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const size_t place[] = {0, 15, 65535, 65536, ROWS * COLS - 1};
    CHECK_OK(gn_context_create(&(gn_context_options){.threads = 2}, &ctx, &err), err);
    CHECK_OK(gn_matrix_create(ROWS, COLS, &m, &err), err);
    m.data[3] = 3e38F; /* large is finite */
    CHECK_OK(gn__check_finite(ctx, &m, "it", &err), err);
    for (size_t k = 0; k < 5; k++) {
        char words[64];
        m.data[place[k]] = bad[k % 3];
        CHECK_INT(gn__check_finite(ctx, &m, "it", &err), GN_DATA);
        snprintf(words, sizeof words, "row %zu, column %zu;", place[k] / COLS, place[k] % COLS);
        CHECK_HAS(err.message, words);
        m.data[place[k]] = 0;
    }
    err.lang = GN_LANG_JA;
    m.data[COLS] = NAN;
    CHECK_INT(gn__check_finite(ctx, &m, "it", &err), GN_DATA);
    CHECK_HAS(err.message, "行 1、列 0");
    gn_matrix_free(&m);
    gn_context_free(ctx);
}
