#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"

/* RFC 4648 section 10. */
static void
test_vectors(void **state)
{
    (void)state;

    static const struct {
        const char *bytes, *text;
    } vectors[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xef\xbe", "/+++"},
    };

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        char memory[16];
        char bytes[16];
        size_t size = 99;
        size_t position;
        struct buf text;
        struct span plain = span_from_cstr(vectors[i].bytes);
        buf_init_fixed(&text, memory, sizeof(memory));
        base64_encode(&text, plain);
        assert_true(span_equal_cstr(buf_span(&text), vectors[i].text));
        assert_int_equal(buf_span(&text).size, BASE64_TEXT_SIZE(plain.size));
        assert_true(base64_decode(buf_span(&text), bytes, &size, &position));
        assert_true(span_equal(span_of(bytes, size), plain));
        assert_true(size <= BASE64_BYTES_MAX(buf_span(&text).size));
    }
}

/* Where it is none; a text that stands for what another one says, too. */
static void
test_refused(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        size_t position;
    } bad[] = {
        {"Zm9", 3},
        {"Zm9v\n", 4},
        {"Zm 9", 2},
        {"Zm-_", 2},
        {"Z===", 1},
        {"====", 0},
        {"Zg==Zg==", 2},
        {"Zh==", 4}, /* bits of the padding */
        {"Zm9=", 4},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char bytes[16];
        size_t size = 99;
        size_t position = 99;
        assert_false(base64_decode(span_from_cstr(bad[i].text), bytes, &size, &position));
        assert_int_equal(position, bad[i].position);
        assert_int_equal(size, 99);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
