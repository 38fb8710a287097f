/* Which server an attempt goes to; whether one is there does not matter to that. */
#include "postgres/postgres.h"

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* "host|port" of an attempt. */
static const char *
goes_to(const struct postgres_parameters *parameters, uint32_t attempt)
{
    static char text[256];
    PGconn *conn = postgres_connect_start(parameters, attempt);
    assert_non_null(conn);
    (void)snprintf(text, sizeof(text), "%s|%s", PQhost(conn), PQport(conn));
    PQfinish(conn);
    return text;
}

static struct postgres_parameters
parsed(const char *url, uint32_t host_count)
{
    struct postgres_parameters parameters;
    char message[256];
    assert_int_equal(
        postgres_parameters_parse(url, "", &parameters, message, sizeof(message)), ERR_OK);
    assert_int_equal(parameters.host_count, host_count);
    return parameters;
}

static void
test_one_server(void **state)
{
    (void)state;
    struct postgres_parameters one = parsed("postgres://u@127.0.0.1:7/db", 1);
    assert_string_equal(goes_to(&one, 0), "127.0.0.1|7");
    assert_string_equal(goes_to(&one, 1), "127.0.0.1|7");
    postgres_parameters_release(&one);
    struct postgres_parameters socket = parsed("postgres://u@/db?host=/nowhere", 1);
    assert_string_equal(goes_to(&socket, 3), "/nowhere|5432");
    postgres_parameters_release(&socket);
}

static void
test_servers_in_turn(void **state)
{
    (void)state;
    struct postgres_parameters two = parsed("postgres://u@127.0.0.1:7,127.0.0.2:8/db", 2);
    assert_string_equal(goes_to(&two, 0), "127.0.0.1|7");
    assert_string_equal(goes_to(&two, 1), "127.0.0.2|8");
    assert_string_equal(goes_to(&two, 2), "127.0.0.1|7");
    assert_string_equal(goes_to(&two, UINT32_MAX), "127.0.0.2|8");
    postgres_parameters_release(&two);
    /* One port for all; an address beside the name, as it is looked up elsewhere. */
    struct postgres_parameters three =
        parsed("postgres://u@/db?host=a,b,c&hostaddr=127.0.0.1,127.0.0.2,127.0.0.3&port=9", 3);
    assert_string_equal(goes_to(&three, 2), "c|9");
    assert_string_equal(goes_to(&three, 4), "b|9");
    postgres_parameters_release(&three);
}

static void
test_refused(void **state)
{
    (void)state;
    struct postgres_parameters parameters;
    char message[256] = "";
    assert_int_equal(
        postgres_parameters_parse(
            "postgres://u@/db?hosts=a", "", &parameters, message, sizeof(message)),
        ERR_INVALID);
    assert_string_not_equal(message, "");
    postgres_parameters_release(&parameters);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_server),
        cmocka_unit_test(test_servers_in_turn),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
