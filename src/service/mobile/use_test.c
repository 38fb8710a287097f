/* Using codes up, on the simulated machine. Each test has a merchant and one code that is shown. */
#include "mobile_internal.h"

#include "base/list.h"
#include "os/sim.h"
#include "resource/merchants.h"
#include "resource/object.h"
#include "resource_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SCOPE = 2, /* of the first merchant, in test mode */
    OTHER_SCOPE = 3,
    STEPS_MAX = 100000,
    WRONG_PER_MINUTE = 3,
    MANY = 16
};

#define PAYER_WALLET "wal_1"
#define NEVER_ISSUED "800000000000000003"

struct t_use {
    struct port_mobile_request request;
    uint32_t answers;
};

struct t_world {
    struct os_sim *sim;
    struct os_loop *loop;
    char folder[64];
    struct document_store *documents;
    const struct document_store_ops *real_ops;
    struct document_store_ops ops; /* the real ones but for `commit` */
    err_t commit_fails;            /* the next commit */
    struct resource_runtime *runtime;
    struct mobile *mobile;
    uint32_t operations_max;
    char code[PORT_MOBILE_CODE_DIGITS + 1];
};

static struct t_world *the_world; /* the store's operations do not know it */

static err_t
commit(struct document_store *store)
{
    err_t failure = the_world->commit_fails;
    if (failure == ERR_OK) {
        return the_world->real_ops->commit(store);
    }
    the_world->commit_fails = ERR_OK;
    the_world->real_ops->rollback(store);
    return failure;
}

static void
documents_open(struct t_world *world)
{
    char url[96];
    (void)snprintf(url, sizeof(url), "sqlite:%s/d.db", world->folder);
    world->documents = t_documents_open(url, mobile_kinds, mobile_kind_count);
    world->real_ops = world->documents->ops;
    world->ops = *world->real_ops;
    world->ops.commit = commit;
    world->documents->ops = &world->ops;
}

static void
service_open(struct t_world *world)
{
    struct resource_parts runtime = t_runtime_parts(world->sim, world->loop, world->documents);
    runtime.settings.operations_max = world->operations_max;
    struct mobile_parts parts = {
        .loop = world->loop,
        .clock = os_sim_clock(world->sim),
        .entropy = os_sim_entropy(world->sim),
        .settings = mobile_settings_default(),
    };
    char merchant[ID_TEXT_SIZE];
    assert_int_equal(resource_runtime_create(&runtime, &world->runtime), ERR_OK);
    parts.runtime = world->runtime;
    parts.settings.wrong_per_minute = WRONG_PER_MINUTE;
    assert_int_equal(mobile_create(&parts, &world->mobile), ERR_OK);
    assert_int_equal(os_loop_start(world->loop), ERR_OK);
    assert_int_equal(resource_merchant_create(world->runtime, "Shop", merchant), ERR_OK);
}

/* As the route does it that shows a code. */
static void
store_code(struct resource_op *op)
{
    struct t_world *world = resource_op_state(op);
    struct mobile_code *code = resource_new(op, &mobile_code_type);
    assert_non_null(code);
    mobile_code_format(os_random_u128(os_sim_entropy(world->sim)), world->code);
    code->wallet = SPAN(PAYER_WALLET);
    code->hash = mobile_code_hash(op, span_from_cstr(world->code));
    code->expires = code->header.created + world->mobile->parts.settings.code_lifetime_s;
    code->purge = code->expires + world->mobile->parts.settings.code_keep_s;
    assert_int_equal(resource_save(op, &mobile_code_type, code), ERR_OK);
    resource_finish(op);
}

static void
run(struct t_world *world)
{
    assert_true(os_sim_run_until_idle(world->sim, STEPS_MAX));
}

static void
show_code(struct t_world *world)
{
    assert_int_equal(
        resource_start_internal(world->runtime, SCOPE, world->mobile, store_code, world), ERR_OK);
    run(world);
}

static int
setup_for(void **state, uint32_t operations_max)
{
    struct t_world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    the_world = world;
    world->operations_max = operations_max;
    assert_int_equal(os_sim_create(1, &world->sim), ERR_OK);
    (void)snprintf(world->folder, sizeof(world->folder), "/tmp/mobile_test_XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    assert_int_equal(os_loops_create(os_sim_loops(world->sim), "api", &world->loop), ERR_OK);
    documents_open(world);
    service_open(world);
    show_code(world);
    *state = world;
    return 0;
}

static int
setup(void **state)
{
    return setup_for(state, 1000);
}

static int
setup_with_little_room(void **state)
{
    return setup_for(state, 1);
}

static int
teardown(void **state)
{
    static const char *const files[] = {"d.db", "d.db-wal"};
    struct t_world *world = *state;
    os_loop_stop(world->loop);
    resource_runtime_destroy(&world->runtime);
    mobile_destroy(&world->mobile);
    world->documents->ops->close(world->documents);
    os_loop_destroy(world->loop);
    os_sim_destroy(&world->sim);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", world->folder, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(world->folder), 0);
    free(world);
    return 0;
}

/* ------------------------------------------------------------------------------------ requests */

static void
answered(struct port_mobile_request *request)
{
    CONTAINER_OF(request, struct t_use, request)->answers++;
}

/* Sends; does not run. */
static void
send_with_key(
    struct t_world *world,
    struct t_use *use,
    uint64_t scope,
    const char *code,
    const char *payment,
    const char *key)
{
    struct port_mobile *port = mobile_port(world->mobile);
    *use = (struct t_use){
        .request = {.reply_to = os_loop_executor(world->loop), .done = answered, .scope = scope}};
    (void)snprintf(use->request.code, sizeof(use->request.code), "%s", code);
    (void)snprintf(use->request.payment, sizeof(use->request.payment), "%s", payment);
    (void)snprintf(use->request.key, sizeof(use->request.key), "%s", key);
    port->use_code(port, &use->request);
    assert_int_equal(use->answers, 0);
}

static void
send(
    struct t_world *world, struct t_use *use, uint64_t scope, const char *code, const char *payment)
{
    send_with_key(world, use, scope, code, payment, "");
}

/* MOBILE-4 */
static void
expect_answer(const struct t_use *use, err_t error, enum port_mobile_outcome outcome)
{
    assert_int_equal(use->answers, 1);
    assert_int_equal(use->request.error, error);
    if (error == ERR_OK) {
        assert_int_equal(use->request.outcome, outcome);
    }
    if (error == ERR_OK && outcome == PORT_MOBILE_OK) {
        assert_string_equal(use->request.wallet, PAYER_WALLET);
    } else if (error == ERR_OK) {
        assert_string_equal(use->request.wallet, "");
    }
}

static void
expect_use_with_key(
    struct t_world *world, const char *payment, const char *key, enum port_mobile_outcome outcome)
{
    struct t_use use;
    send_with_key(world, &use, SCOPE, world->code, payment, key);
    run(world);
    expect_answer(&use, ERR_OK, outcome);
}

static void
expect_use(
    struct t_world *world, const char *code, const char *payment, enum port_mobile_outcome outcome)
{
    struct t_use use;
    send(world, &use, SCOPE, code, payment);
    run(world);
    expect_answer(&use, ERR_OK, outcome);
}

/* --------------------------------------------------------------------------------------- tests */

/* MOBILE-2 */
static void
a_code_is_one_payments_and_no_others(void **state)
{
    struct t_world *world = *state;
    expect_use(world, world->code, "pi_1", PORT_MOBILE_OK);
    expect_use(world, world->code, "pi_2", PORT_MOBILE_USED);
    expect_use(world, world->code, "pi_1", PORT_MOBILE_OK);
    expect_use(world, world->code, "pi_2", PORT_MOBILE_USED);
}

/* MOBILE-2: its first try may be under way elsewhere, or have died before anything but the code
 * knew of it. */
static void
a_request_that_is_repeated_has_its_code(void **state)
{
    struct t_world *world = *state;
    expect_use_with_key(world, "pi_1", "k1", PORT_MOBILE_OK);
    expect_use_with_key(world, "pi_2", "k2", PORT_MOBILE_USED);
    expect_use_with_key(world, "pi_2", "", PORT_MOBILE_USED);
    expect_use_with_key(world, "pi_3", "k1", PORT_MOBILE_OK);
    expect_use_with_key(world, "pi_3", "", PORT_MOBILE_OK);
    expect_use_with_key(world, "pi_4", "k1", PORT_MOBILE_USED); /* a payment without a key has it */
}

static void
of_many_at_once_one_has_it(void **state)
{
    struct t_world *world = *state;
    struct t_use uses[MANY];
    uint32_t good = 0;
    for (unsigned i = 0; i < MANY; i++) {
        char payment[ID_TEXT_SIZE];
        (void)snprintf(payment, sizeof(payment), "pi_%u", i);
        send(world, &uses[i], SCOPE, world->code, payment);
    }
    run(world);
    for (unsigned i = 0; i < MANY; i++) {
        bool is_good = uses[i].request.outcome == PORT_MOBILE_OK;
        expect_answer(&uses[i], ERR_OK, is_good ? PORT_MOBILE_OK : PORT_MOBILE_USED);
        good += is_good ? 1 : 0;
    }
    assert_int_equal(good, 1);
}

/* Nothing is known then, and nothing has happened: another payment may have the code. */
static void
a_commit_that_fails_uses_nothing_up(void **state)
{
    struct t_world *world = *state;
    struct t_use use;
    world->commit_fails = ERR_IO;
    send(world, &use, SCOPE, world->code, "pi_1");
    run(world);
    assert_int_equal(world->commit_fails, ERR_OK);
    assert_int_equal(use.answers, 1);
    assert_int_not_equal(use.request.error, ERR_OK);
    expect_use(world, world->code, "pi_2", PORT_MOBILE_OK);
    expect_use(world, world->code, "pi_1", PORT_MOBILE_USED);
}

static void
a_code_ends_with_its_last_second(void **state)
{
    struct t_world *world = *state;
    uint64_t life_ns = (uint64_t)world->mobile->parts.settings.code_lifetime_s * OS_NS_PER_S;
    char first[sizeof(world->code)];
    (void)snprintf(first, sizeof(first), "%s", world->code);
    assert_true(os_sim_run_for(world->sim, life_ns - 2 * OS_NS_PER_S, STEPS_MAX));
    expect_use_with_key(world, "pi_1", "k1", PORT_MOBILE_OK);
    show_code(world);
    assert_true(os_sim_run_for(world->sim, life_ns + OS_NS_PER_S, STEPS_MAX));
    expect_use(world, world->code, "pi_2", PORT_MOBILE_EXPIRED);
    /* The payment that has it keeps it: it asks again after a crash. Its request's key does not: a
     * key that is forgotten is another request's, which may not charge the payer again. */
    expect_use(world, first, "pi_1", PORT_MOBILE_OK);
    memcpy(world->code, first, sizeof(first));
    expect_use_with_key(world, "pi_2", "k1", PORT_MOBILE_USED);
}

static void
another_mode_does_not_know_it(void **state)
{
    struct t_world *world = *state;
    struct t_use use;
    send(world, &use, OTHER_SCOPE, world->code, "pi_1");
    run(world);
    expect_answer(&use, ERR_OK, PORT_MOBILE_INVALID);
    expect_use(world, world->code, "pi_2", PORT_MOBILE_OK);
}

/* MOBILE-3 */
static void
after_too_many_wrong_ones_nobody_is_told_anything(void **state)
{
    struct t_world *world = *state;
    for (int i = 0; i <= WRONG_PER_MINUTE; i++) {
        expect_use(world, i % 2 == 0 ? NEVER_ISSUED : "x", "pi_1", PORT_MOBILE_INVALID);
    }
    expect_use(world, NEVER_ISSUED, "pi_1", PORT_MOBILE_LIMITED);
    expect_use(world, world->code, "pi_1", PORT_MOBILE_LIMITED);
    assert_true(os_sim_run_for(world->sim, 30 * OS_NS_PER_S, STEPS_MAX));
    expect_use(world, world->code, "pi_1", PORT_MOBILE_OK);
}

/* MOBILE-4 */
static void
whoever_finds_no_room_is_told_so(void **state)
{
    struct t_world *world = *state;
    struct t_use uses[MANY];
    uint32_t full = 0;
    for (unsigned i = 0; i < MANY; i++) {
        send(world, &uses[i], SCOPE, world->code, "pi_1");
    }
    run(world);
    for (unsigned i = 0; i < MANY; i++) {
        full += uses[i].request.error == ERR_FULL ? 1 : 0;
        expect_answer(
            &uses[i], uses[i].request.error == ERR_OK ? ERR_OK : ERR_FULL, PORT_MOBILE_OK);
    }
    assert_in_range(full, 1, MANY - 1);
    expect_use(world, world->code, "pi_1", PORT_MOBILE_OK);
}

/* MOBILE-1 */
static void
digits_are_not_in_the_documents(void **state)
{
    struct t_world *world = *state;
    char path[128];
    static char bytes[1 << 24];
    size_t hits = 0;
    expect_use(world, world->code, "pi_1", PORT_MOBILE_OK);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", world->folder, i == 0 ? "d.db" : "d.db-wal");
        FILE *file = fopen(path, "rb");
        if (file == NULL) {
            continue;
        }
        size_t size = fread(bytes, 1, sizeof(bytes), file);
        (void)fclose(file);
        assert_in_range(size, 0, sizeof(bytes) - 1); /* all of it */
        assert_null(memmem(bytes, size, world->code, strlen(world->code)));
        hits += memmem(bytes, size, PAYER_WALLET, strlen(PAYER_WALLET)) != NULL ? 1 : 0;
    }
    assert_true(hits > 0); /* it was the right place to look */
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_code_is_one_payments_and_no_others),
        IN_WORLD(a_request_that_is_repeated_has_its_code),
        IN_WORLD(of_many_at_once_one_has_it),
        IN_WORLD(a_commit_that_fails_uses_nothing_up),
        IN_WORLD(a_code_ends_with_its_last_second),
        IN_WORLD(another_mode_does_not_know_it),
        IN_WORLD(after_too_many_wrong_ones_nobody_is_told_anything),
        cmocka_unit_test_setup_teardown(
            whoever_finds_no_room_is_told_so, setup_with_little_room, teardown),
        IN_WORLD(digits_are_not_in_the_documents),
    };
    return cmocka_run_group_tests_name("mobile use", tests, NULL, NULL);
}
