/* The unit tests' harness: TEST(name) { CHECK(…); } registers itself; the runner prints one line a test
 * and, last, "N passed, N failed, N skipped". A failed CHECK ends its test, not the program. */
#ifndef GENCHI_TESTS_TEST_H
#define GENCHI_TESTS_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct test_case {
    const char *name;
    void (*run)(void);
    struct test_case *next;
} test_case;

void test_register(test_case *t);
_Noreturn void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Ends the test as skipped, with its reason. */
_Noreturn void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A fresh folder for files a test writes; removed at exit. */
const char *test_folder(void);
/* "folder/name" with the bytes written to it; static storage, overwritten by the next call but seven. */
const char *test_file(const char *name, const void *data, size_t length);
/* The repository's root ("." when run by make) joined with a path; same storage as test_file. */
const char *test_path(const char *relative);
/* True with TEST_TIER=medium or long (0 short, 1 medium, 2 long). */
int test_tier(void);

#define TEST(name)                                                      \
    static void test_##name(void);                                      \
    static test_case test_case_##name = {#name, test_##name, NULL};     \
    __attribute__((constructor)) static void test_register_##name(void) \
    {                                                                   \
        test_register(&test_case_##name);                               \
    }                                                                   \
    static void test_##name(void)

#define CHECK(condition)                                                   \
    do {                                                                   \
        if (!(condition)) test_fail(__FILE__, __LINE__, "%s", #condition); \
    } while (0)
#define CHECK_OK(call, err)                                                                 \
    do {                                                                                    \
        if ((call) != GN_OK) test_fail(__FILE__, __LINE__, "%s: %s", #call, (err).message); \
    } while (0)
#define CHECK_STR(found, expected)                                                 \
    do {                                                                           \
        const char *found_ = (found), *expected_ = (expected);                     \
        if (found_ == NULL || strcmp(found_, expected_) != 0)                      \
            test_fail(__FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #found, \
                      found_ ? found_ : "(null)", expected_);                      \
    } while (0)
/* The message contains the words. */
#define CHECK_HAS(text, words)                                                                \
    do {                                                                                      \
        if (strstr((text), (words)) == NULL)                                                  \
            test_fail(__FILE__, __LINE__, "\"%s\" does not contain \"%s\"", (text), (words)); \
    } while (0)
#define CHECK_INT(found, expected)                                                                 \
    do {                                                                                           \
        long long found_ = (long long)(found), expected_ = (long long)(expected);                  \
        if (found_ != expected_)                                                                   \
            test_fail(__FILE__, __LINE__, "%s is %lld, expected %lld", #found, found_, expected_); \
    } while (0)
#define CHECK_NEAR(found, expected, tolerance)                                                       \
    do {                                                                                             \
        double found_ = (double)(found), expected_ = (double)(expected);                             \
        if (!(fabs(found_ - expected_) <= (tolerance)))                                              \
            test_fail(__FILE__, __LINE__, "%s is %.10g, expected %.10g (within %g)", #found, found_, \
                      expected_, (double)(tolerance));                                               \
    } while (0)

#endif
