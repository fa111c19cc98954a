/* .npy files, against files that NumPy wrote. */
#include "data/data.h"
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

static gn_error error;

static gn_status read_golden(const char *name, gn_matrix *m)
{
    char path[128];
    snprintf(path, sizeof path, "tests/golden/data/%s.npy", name);
    error = (gn_error){0};
    return gn_npy_read(test_path(path), m, &error);
}

TEST(every_type_order_and_version)
{
    static const char *const name[] = {"f2_le", "f2_be",   "f4_le",    "f4_be",   "f8_le",
                                       "f8_be", "fortran", "version2", "version3"};
    static const float value[] = {1.5f, -2.25f, 3, 0.1f, 65504, -0.0f};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        gn_matrix m;
        CHECK_OK(read_golden(name[i], &m), error);
        CHECK_INT(m.rows, 2);
        CHECK_INT(m.cols, 3);
        for (size_t k = 0; k < 6; k++) CHECK_NEAR(m.data[k], value[k], name[i][1] == '2' ? 5e-5 : 0);
        gn_matrix_free(&m);
    }
}

TEST(refusals)
{
    static const struct {
        const char *name;
        gn_status status;
        const char *words;
    } cases[] = {
        {"one_dim", GN_FORMAT, "shape (3,);"},
        {"three_dim", GN_FORMAT, "shape (2, 3, 4);"},
        {"integers", GN_UNSUPPORTED, "type <i8"},
        {"structured", GN_UNSUPPORTED, "(structured)"},
        {"nan", GN_DATA, "2 of them, the first in row 1, column 3"},
        {"beyond", GN_DATA, "1 of them, the first in row 2, column 2"},
        {"absent", GN_IO, "cannot open"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gn_matrix m;
        CHECK_INT(read_golden(cases[i].name, &m), cases[i].status);
        CHECK_HAS(error.message, cases[i].words);
    }
}

static gn_status parse(const char *header, size_t floats)
{
    unsigned char file[512] = "\x93NUMPY\x01";
    size_t n = strlen(header);
    gn_matrix m;
    file[8] = (unsigned char)n;
    file[9] = 0;
    memcpy(file + 10, header, n);
    error = (gn_error){0};
    gn_status status = gn__npy_parse("x.npy", file, 10 + n + 4 * floats, &m, &error);
    if (status == GN_OK) gn_matrix_free(&m);
    return status;
}

TEST(headers_are_read_strictly)
{
    static const struct {
        const char *header;
        size_t floats;
        gn_status status;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }   \n", 2, GN_OK},
        {"{'descr':'<f4','shape':(1,2),'fortran_order':True}", 2, GN_OK},
        {"{\"descr\": \"<f4\", 'fortran_order': False, 'shape': (1L, 2L,)}", 2, GN_OK},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2)}", 0, GN_OK},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", 1, GN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", 3, GN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), } x", 2, GN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False}", 2, GN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 2)}", 2, GN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}", 2, GN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2)}", 2, GN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), 'extra': 1}", 2, GN_FORMAT},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}", 2, GN_FORMAT},
        {"{'descr': '<f\\x34', 'fortran_order': False, 'shape': (1, 2)}", 2, GN_FORMAT},
        {"{'descr': '=f4', 'fortran_order': False, 'shape': (1, 2)}", 2, GN_UNSUPPORTED},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", 2, GN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 2, GN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808, 2)}", 0, GN_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 2)}", 0, GN_FORMAT},
        {"", 0, GN_FORMAT},
        {"{", 0, GN_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (parse(cases[i].header, cases[i].floats) != cases[i].status)
            test_fail(__FILE__, __LINE__, "%s: %s", cases[i].header, error.message);
}

TEST(broken_beginnings)
{
    gn_matrix m;
    CHECK_INT(gn__npy_parse("x.npy", (const unsigned char *)"PK\3\4aaaaaaaaaa", 14, &m, &error), GN_FORMAT);
    CHECK_HAS(error.message, "is not a .npy file");
    CHECK_INT(gn__npy_parse("x.npy", (const unsigned char *)"\x93NUMPY\x01\x00\xFF\x00{", 11, &m, &error),
              GN_FORMAT);
    CHECK_HAS(error.message, "cut short");
    CHECK_INT(gn__npy_parse("x.npy", (const unsigned char *)"\x93NUMPY\x04\x00\x01\x00{", 11, &m, &error),
              GN_UNSUPPORTED);
    CHECK_HAS(error.message, "version 4.0");
    CHECK_INT(gn_npy_read(test_file("empty.npy", "", 0), &m, &error), GN_FORMAT);
}

TEST(a_matrix_survives_the_file)
{
    gn_matrix m, back;
    char path[1024];
    snprintf(path, sizeof path, "%s/m.npy", test_folder());
    CHECK_OK(gn_matrix_create(300, 70, &m, &error), error);
    for (size_t i = 0; i < 300 * 70; i++) m.data[i] = (float)i * 0.37f - 1000;
    CHECK_OK(gn_npy_write(path, &m, &error), error);
    CHECK_OK(gn_npy_read(path, &back, &error), error);
    CHECK_INT(back.rows, 300);
    CHECK_INT(back.cols, 70);
    CHECK(memcmp(m.data, back.data, 300 * 70 * sizeof(float)) == 0);
    gn_matrix_free(&back);

    char *file, *golden;
    size_t n, golden_n;
    gn_matrix small;
    CHECK_OK(read_golden("f4_le", &small), error);
    CHECK_OK(gn_npy_write(path, &small, &error), error);
    gn_matrix_free(&small);
    CHECK_OK(gn__read_file(path, 4096, &file, &n, &error), error);
    CHECK_OK(gn__read_file(test_path("tests/golden/data/f4_le.npy"), 4096, &golden, &golden_n, &error),
             error);
    bool same = n == golden_n && memcmp(file, golden, n) == 0; /* byte for byte what NumPy writes */
    free(file);
    free(golden);
    CHECK(same);

    CHECK_INT(gn_npy_write("/nonexistent/m.npy", &m, &error), GN_IO);
    gn_matrix_free(&m);
}

TEST(a_failed_write_leaves_the_old_file)
{
    if (access("/dev/full", W_OK) != 0) test_skip("/dev/full is not here");
    gn__writer w;
    char aside[1024];
    const char *path = test_file("keep.npy", "old", 3);
    CHECK_OK(gn__writer_open(&w, path, &error), error);
    snprintf(aside, sizeof aside, "%s", w.aside);
    gn__writer_put(&w, "new", 3);
    w.failed = 28; /* ENOSPC, as a full disk sets it */
    CHECK_INT(gn__writer_commit(&w, &error), GN_IO);
    CHECK_HAS(error.message, "cannot write");
    CHECK(!gn__file_exists(aside));
    CHECK_OK(gn__writer_open(&w, path, &error), error);
    gn__writer_abort(&w);
    CHECK(!gn__file_exists(aside));
    char *data;
    size_t n;
    CHECK_OK(gn__read_file(path, 10, &data, &n, &error), error);
    bool same = strcmp(data, "old") == 0;
    free(data);
    CHECK(same);
}

TEST(npy_mapped_is_npy_read)
{
    gn_error err = {0};
    gn_npy m;
    gn_matrix x, y;
    char path[300];
    CHECK_OK(gn_matrix_create(3, 5, &x, &err), err);
    for (size_t i = 0; i < 15; i++) x.data[i] = (float)i / 4;
    snprintf(path, sizeof path, "%s/mapped.npy", test_folder());
    CHECK_OK(gn_npy_write(path, &x, &err), err);
    CHECK_OK(gn_npy_map(path, &m, &err), err);
    CHECK(m.map != NULL && m.matrix.rows == 3 && m.matrix.cols == 5);
    CHECK(memcmp(m.matrix.data, x.data, 15 * sizeof(float)) == 0);
    gn_npy_unmap(&m);
    CHECK(m.map == NULL && m.matrix.data == NULL);
    x.data[7] = NAN;
    CHECK_OK(gn_npy_write(path, &x, &err), err);
    CHECK_INT(gn_npy_map(path, &m, &err), GN_DATA);
    CHECK_HAS(err.message, "row 2, column 3");
    gn_matrix_free(&x);
    /* float64: read, not mapped */
    static const char header[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }";
    unsigned char bytes[10 + sizeof header - 1 + 16] = "\x93NUMPY\x01";
    bytes[8] = sizeof header - 1;
    memcpy(bytes + 10, header, sizeof header - 1);
    memcpy(bytes + 10 + sizeof header - 1, (const double[]){2.5, -1}, 16);
    const char *file = test_file("double.npy", bytes, sizeof bytes);
    CHECK_OK(gn_npy_map(file, &m, &err), err);
    CHECK_OK(gn_npy_read(file, &y, &err), err);
    CHECK(m.map == NULL && memcmp(m.matrix.data, y.data, 2 * sizeof(float)) == 0);
    gn_npy_unmap(&m);
    gn_npy_unmap(&m);
    gn_matrix_free(&y);
    CHECK_INT(gn_npy_map("/nowhere.npy", &m, &err), GN_IO);
}
