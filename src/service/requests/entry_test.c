/* REQUESTS-1: what is kept of a request, and what never is. */
#include "requests_internal.h"

#include "json/json_in.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTENT   "pi_0123456789ABCDEFGHIJKL"
#define CUSTOMER "cus_0123456789abcdefghijkl"
#define CARD     "4242424242424242"

static const char *const kinds[] = {"card", "wallet", NULL};
static const struct resource_param params[] = {
    {.name = "amount", .kind = RESOURCE_PARAM_INTEGER, .maximum = 99999999},
    {.name = "currency", .kind = RESOURCE_PARAM_CURRENCY},
    {.name = "confirm", .kind = RESOURCE_PARAM_BOOLEAN},
    {.name = "customer", .kind = RESOURCE_PARAM_TEXT, .maximum = 64},
    {.name = "payment_method", .kind = RESOURCE_PARAM_TEXT, .maximum = 64},
    {.name = "description", .kind = RESOURCE_PARAM_TEXT, .maximum = 1000},
    {.name = "created", .kind = RESOURCE_PARAM_RANGE},
    {.name = "metadata", .kind = RESOURCE_PARAM_METADATA},
    {.name = "shipping", .kind = RESOURCE_PARAM_ANY_HASH},
    {.name = "types", .kind = RESOURCE_PARAM_TEXT_LIST, .maximum = 8},
    {.name = "data", .kind = RESOURCE_PARAM_HASH},
    {.name = "data[type]", .kind = RESOURCE_PARAM_ENUM, .values = kinds},
    {.name = "data[card]", .kind = RESOURCE_PARAM_HASH},
    {.name = "data[card][exp_month]", .kind = RESOURCE_PARAM_INTEGER, .maximum = 12},
    {.name = "data[card][number]", .kind = RESOURCE_PARAM_TEXT, .maximum = 64},
};
static const struct resource_route route = {
    .method = "POST",
    .pattern = "/v1/things/:id/paint",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .card_parameter = "data[card]",
};

struct t_request {
    struct resource_request request;
    struct resource_caller caller;
    struct arena arena, scratch;
    struct buf out;
    struct json_value *entry;
};

static int
setup(void **state)
{
    struct t_request *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    arena_init(&t->arena, 1U << 20);
    arena_init(&t->scratch, 1U << 20);
    buf_init(&t->out, REQUESTS_ENTRY_BYTES_MAX);
    t->request.route = &route;
    t->request.status = 200;
    t->request.params = form_empty(&t->arena);
    (void)id_format("req_", id_floor(1700000000123), t->request.request_id);
    (void)snprintf(t->caller.key_id, sizeof(t->caller.key_id), "key_0123456789abcdefghijkl");
    *state = t;
    return 0;
}

static int
teardown(void **state)
{
    struct t_request *t = *state;
    arena_release(&t->arena);
    arena_release(&t->scratch);
    buf_release(&t->out);
    buf_release(&t->request.body);
    free(t);
    return 0;
}

static void
send(struct t_request *t, const char *form)
{
    struct span param;
    struct span message;
    assert_int_equal(
        form_parse(span_from_cstr(form), &t->arena, &t->request.params, &param, &message), ERR_OK);
}

static void
answer(struct t_request *t, int status, const char *body)
{
    t->request.status = status;
    buf_release(&t->request.body);
    buf_init(&t->request.body, 1U << 16);
    buf_append_cstr(&t->request.body, body);
}

static void
note(struct t_request *t)
{
    struct json_problem problem;
    buf_clear(&t->out);
    requests_entry_write(&t->out, &t->scratch, &t->caller, &t->request, 5000000);
    assert_false(buf_failed(&t->out));
    assert_int_equal(json_read(buf_span(&t->out), &t->arena, 1000, &t->entry, &problem), ERR_OK);
}

/* "error.code", "parameters.data[type]", "objects.0"; NULL: not there. */
static const struct json_value *
look_up(const struct t_request *t, const char *path)
{
    const struct json_value *value = t->entry;
    struct span rest = span_from_cstr(path);
    while (value != NULL && rest.size > 0) {
        struct span part = span_cut(&rest, '.');
        if (value->kind == JSON_KIND_ARRAY) {
            uint64_t index = 0;
            assert_true(span_parse_u64(part, &index));
            value = value->first_child;
            while (value != NULL && index-- > 0) {
                value = value->next;
            }
        } else {
            value = json_value_member(value, part);
        }
    }
    return value;
}

static void
expect(const struct t_request *t, const char *path, const char *text)
{
    const struct json_value *value = look_up(t, path);
    if (value == NULL || !span_equal_cstr(value->text, text)) {
        fail_msg("%s is not %s in %.*s", path, text, SPAN_PRINTF(buf_span(&t->out)));
    }
}

static void
expect_null(const struct t_request *t, const char *path)
{
    const struct json_value *value = look_up(t, path);
    if (value == NULL || value->kind != JSON_KIND_NULL) {
        fail_msg("%s is not null in %.*s", path, SPAN_PRINTF(buf_span(&t->out)));
    }
}

static void
expect_nowhere(const struct t_request *t, const char *text)
{
    if (memmem(t->out.data, t->out.size, text, strlen(text)) != NULL) {
        fail_msg("%s is in %.*s", text, SPAN_PRINTF(buf_span(&t->out)));
    }
}

/* --------------------------------------------------------------------------------------- tests */

static void
a_request_and_its_answer(void **state)
{
    struct t_request *t = *state;
    send(
        t,
        "amount=2000&currency=usd&confirm=true&customer=" CUSTOMER
        "&payment_method=pm_card_visa&data[type]=card&created[gte]=1700000000");
    t->request.captures[0] = SPAN(INTENT);
    t->request.idempotency_key = SPAN("order-17");
    t->request.agent = SPAN("Stripe/v1 PythonBindings/12.0");
    t->request.address = SPAN("2001:db8::7");
    t->request.arrived_ns = 1000000;
    answer(t, 200, "{\"id\":\"ch_0123456789abcdefghijkl\",\"object\":\"charge\"}");
    note(t);
    expect(t, "id", t->request.request_id);
    expect(t, "created", "1700000000");
    expect(t, "api_key", t->caller.key_id);
    expect(t, "duration_ms", "4");
    expect(t, "method", "POST");
    expect(t, "path", "/v1/things/" INTENT "/paint");
    expect(t, "status", "200");
    expect(t, "idempotency_key", "order-17");
    expect(t, "user_agent", "Stripe/v1 PythonBindings/12.0");
    expect(t, "ip_address", "2001:db8::7");
    expect(t, "parameters.amount", "2000");
    expect(t, "parameters.currency", "usd");
    expect(t, "parameters.confirm", "true");
    expect(t, "parameters.customer", CUSTOMER);
    expect(t, "parameters.payment_method", "pm_card_visa");
    expect(t, "parameters.data[type]", "card");
    expect(t, "objects.0", "ch_0123456789abcdefghijkl");
    expect(t, "objects.1", CUSTOMER);
    expect(t, "objects.2", INTENT);
    assert_null(look_up(t, "objects.3"));
    expect_null(t, "error");
    expect_null(t, "original_request");
}

static void
what_is_not_there_is_null(void **state)
{
    struct t_request *t = *state;
    answer(t, 200, "{\"object\":\"list\",\"data\":[]}");
    note(t);
    expect_null(t, "idempotency_key");
    expect_null(t, "user_agent");
    expect_null(t, "ip_address");
    expect_null(t, "duration_ms");
    assert_null(look_up(t, "objects.0"));
}

/* Known names are told of, whatever is in them; unknown ones are the client's. */
static void
free_texts_are_named_only(void **state)
{
    struct t_request *t = *state;
    send(
        t,
        "description=Ada+Lovelace&metadata[order]=6735&shipping[name]=Ada&types[]=card"
        "&unheard=of&customer=Ada&data[type]=Ada&currency=dollars&amount=12345678901&confirm=Ada");
    note(t);
    expect_null(t, "parameters.description");
    expect_null(t, "parameters.metadata");
    expect_null(t, "parameters.shipping");
    expect_null(t, "parameters.types");
    expect_null(t, "parameters.customer");
    expect_null(t, "parameters.data[type]");
    expect_null(t, "parameters.currency");
    expect_null(t, "parameters.amount");
    expect_null(t, "parameters.confirm");
    expect_nowhere(t, "Ada");
    expect_nowhere(t, "6735");
    expect_nowhere(t, "unheard");
    expect_nowhere(t, "dollars");
    expect_nowhere(t, "12345678901");
}

static void
a_card_is_nowhere(void **state)
{
    static const char *const forms[] = {
        "data[card][number]=" CARD "&data[card][exp_month]=12",
        "data[card]=" CARD,
        "data[type]=" CARD,
        "amount=" CARD,
        "created=" CARD,
        "created[gte]=" CARD,
        "customer=" CARD,
        "description=" CARD,
        CARD "=1",
        "data[" CARD "]=1",
        "metadata[" CARD "]=" CARD,
        "types[]=" CARD,
    };
    struct t_request *t = *state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        send(t, forms[i]);
        note(t);
        expect_nowhere(t, CARD);
        expect_nowhere(t, "12\"");
    }
    send(t, "");
    t->request.captures[0] = SPAN(CARD);
    t->request.idempotency_key = SPAN("4242 4242 4242 4242");
    t->request.agent = SPAN("Shop/" CARD);
    t->request.address = SPAN(CARD " ");
    answer(
        t,
        400,
        "{\"error\":{\"code\":\"parameter_unknown\",\"param\":\"" CARD "\",\"message\":\"" CARD
        "\",\"type\":\"invalid_request_error\"}}");
    note(t);
    expect_nowhere(t, CARD);
    expect_nowhere(t, "4242 4242 4242 4242");
    expect(t, "path", "/v1/things/:id/paint");
    expect_null(t, "error.param");
    expect(t, "error.code", "parameter_unknown");
}

static void
a_secret_is_nowhere(void **state)
{
    static const char *const secrets[] = {
        "sk_test_0123456789abcdefghijklmn",
        "rk_live_0123456789abcdefghijklmn",
        "whsec_0123456789abcdefghijABCDEFGHIJ01",
        INTENT "_secret_0123456789abcdefghijABCD",
    };
    struct t_request *t = *state;
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        char text[512];
        struct span secret = span_from_cstr(secrets[i]);
        (void)snprintf(
            text,
            sizeof(text),
            "customer=%s&description=%s&metadata[a]=%s&payment_method=%s",
            secrets[i],
            secrets[i],
            secrets[i],
            secrets[i]);
        send(t, text);
        t->request.captures[0] = secret;
        t->request.idempotency_key = secret;
        t->request.agent = secret;
        t->request.address = secret;
        (void)snprintf(
            text, sizeof(text), "{\"id\":\"%s\",\"secret\":\"%s\"}", secrets[i], secrets[i]);
        answer(t, 200, text);
        note(t);
        expect_nowhere(t, secrets[i]);
        expect(t, "idempotency_key", "(left out)");
        assert_null(look_up(t, "objects.0"));
    }
}

static void
an_error_is_its_codes(void **state)
{
    struct t_request *t = *state;
    answer(
        t,
        402,
        "{\"error\":{\"charge\":\"ch_0123456789abcdefghijkl\",\"code\":\"card_declined\","
        "\"decline_code\":\"generic_decline\",\"message\":\"Your card was declined.\","
        "\"param\":\"metadata[my secret]\",\"payment_intent\":{\"id\":\"" INTENT
        "\",\"client_secret\":\"" INTENT "_secret_x\"},\"type\":\"card_error\"}}");
    note(t);
    expect(t, "error.type", "card_error");
    expect(t, "error.code", "card_declined");
    expect(t, "error.decline_code", "generic_decline");
    expect(t, "error.param", "metadata");
    expect(t, "objects.0", INTENT);
    expect(t, "objects.1", "ch_0123456789abcdefghijkl");
    expect_nowhere(t, "declined.");
    expect_nowhere(t, "_secret_");
    answer(t, 500, "no JSON");
    note(t);
    expect_null(t, "error");
}

static void
a_replayed_answer_names_the_first_request(void **state)
{
    struct t_request *t = *state;
    t->request.replayed = true;
    (void)id_format("req_", id_floor(1700000000000), t->request.original_request_id);
    note(t);
    expect(t, "original_request", t->request.original_request_id);
}

/* The largest that a client can make of it has room. */
static void
every_entry_fits(void **state)
{
    enum {
        MANY = 200
    };

    static char names[MANY][64];
    static struct resource_param many[MANY];
    struct t_request *t = *state;
    struct resource_route wide = route;
    struct buf form;
    char odd[400];
    buf_init(&form, 1U << 20);
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%03zu%055d", i, 0);
        many[i] = (struct resource_param){.name = names[i], .kind = RESOURCE_PARAM_TEXT};
        form_append(&form, names[i], SPAN(CUSTOMER));
    }
    buf_append_byte(&form, '\0');
    wide.params = many;
    wide.param_count = MANY;
    t->request.route = &wide;
    send(t, form.data);
    memset(odd, '"', sizeof(odd));
    t->request.idempotency_key = span_of(odd, 255);
    t->request.agent = span_of(odd, sizeof(odd));
    note(t);
    expect(t, "status", "200");
    memset(odd, 0xff, sizeof(odd));
    note(t);
    buf_release(&form);
}

#define IN_REQUEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        IN_REQUEST(a_request_and_its_answer),
        IN_REQUEST(what_is_not_there_is_null),
        IN_REQUEST(free_texts_are_named_only),
        IN_REQUEST(a_card_is_nowhere),
        IN_REQUEST(a_secret_is_nowhere),
        IN_REQUEST(an_error_is_its_codes),
        IN_REQUEST(a_replayed_answer_names_the_first_request),
        IN_REQUEST(every_entry_fits),
    };
    return cmocka_run_group_tests_name("requests entry", tests, NULL, NULL);
}
