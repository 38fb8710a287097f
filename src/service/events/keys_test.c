/* EVENTS-7: the keys of secrets are rotated, and every delivery is signed with the secret that its
 * endpoint was given; a key that is said to be of no use is of none. */
#include "testing.h"

#include "callback/signature.h"
#include "os/file.h"
#include "os/prng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX      CALLBACK_KEYS_MAX
#define KEY_TEXT_SIZE (2 * CALLBACK_KEY_SIZE + 1)

/* ------------------------------------------------------------------------------------- the file */

/* The lines of the file, which the test changes as operators do. */
struct file {
    char keys[KEYS_MAX][KEY_TEXT_SIZE];
    uint32_t count;
};

static void
read_file(const struct t_world *world, struct file *file)
{
    char path[128];
    char *text;
    size_t size;
    (void)snprintf(path, sizeof(path), "%s/master.key", world->folder);
    assert_int_equal(os_file_load(os_disk_real(), path, 4096, &text, &size), ERR_OK);
    struct span rest = span_of(text, size);
    *file = (struct file){.count = 0};
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n');
        assert_int_equal(line.size, KEY_TEXT_SIZE - 1);
        memcpy(file->keys[file->count++], line.data, line.size);
    }
    free(text);
}

static void
write_file(const struct t_world *world, const struct file *file)
{
    char memory[KEYS_MAX * KEY_TEXT_SIZE];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof(memory));
    for (uint32_t i = 0; i < file->count; i++) {
        buf_append_cstr(&text, file->keys[i]);
        buf_append_byte(&text, '\n');
    }
    assert_int_equal(
        os_file_save(os_disk_real(), world->folder, "master.key", buf_span(&text)), ERR_OK);
}

static void
put_in_front(const struct t_world *world)
{
    struct file file;
    uint8_t bytes[CALLBACK_KEY_SIZE];
    struct buf hex;
    struct os_entropy *entropy = os_sim_entropy(world->sim);
    read_file(world, &file);
    assert_true(file.count < KEYS_MAX);
    memmove(file.keys[1], file.keys[0], file.count * sizeof(file.keys[0]));
    entropy->fill(entropy, bytes, sizeof(bytes));
    buf_init_fixed(&hex, file.keys[0], KEY_TEXT_SIZE - 1);
    buf_append_hex(&hex, bytes, sizeof(bytes));
    file.count++;
    write_file(world, &file);
}

static void
keep_only(const struct t_world *world, uint32_t first, uint32_t count)
{
    struct file file;
    read_file(world, &file);
    memmove(file.keys[0], file.keys[first], count * sizeof(file.keys[0]));
    file.count = count;
    write_file(world, &file);
}

static void
restart(struct t_world *world)
{
    t_crash(world);
    t_open(world);
}

static struct events_keys_state
look(const struct t_world *world)
{
    struct events_keys_state state;
    events_keys_look(world->events, &state);
    return state;
}

/* ------------------------------------------------------------------------------------- rotating */

struct rotate {
    struct events_rotate request;
    uint32_t answers;
};

static void
rotate_done(struct events_rotate *request)
{
    struct rotate *rotate = CONTAINER_OF(request, struct rotate, request);
    rotate->answers++;
}

static void
begin_rotate(struct t_world *world, struct rotate *rotate)
{
    *rotate = (struct rotate){.request = {.reply_to = &world->replies, .done = rotate_done}};
    events_rotate(world->events, &rotate->request);
}

static err_t
rotate(struct t_world *world)
{
    struct rotate rotate;
    begin_rotate(world, &rotate);
    t_run(world);
    assert_int_equal(rotate.answers, 1);
    return rotate.request.error;
}

/* ------------------------------------------------------------------------------------- secrets */

#define ENDPOINTS_MAX 12

/* What the endpoints were told. */
struct told {
    char id[ID_TEXT_SIZE];
    char host[32];
    char secrets[2][64]; /* the present one, the one before */
    uint32_t secret_count;
};

struct all_told {
    struct told told[ENDPOINTS_MAX];
    uint32_t count;
};

static void
make(struct t_world *world, struct all_told *all)
{
    char form[128];
    struct told *told = &all->told[all->count];
    (void)snprintf(told->host, sizeof(told->host), "h%u.test", all->count);
    (void)snprintf(
        form, sizeof(form), "url=http://%s/hook&enabled_events[]=customer.created", told->host);
    t_request(world, false, "POST", "/v1/webhook_endpoints", NULL, form);
    assert_int_equal(world->status, 200);
    (void)snprintf(told->id, sizeof(told->id), "%s", t_text(world, "id"));
    (void)snprintf(told->secrets[0], sizeof(told->secrets[0]), "%s", t_text(world, "secret"));
    told->secret_count = 1;
    all->count++;
}

static void
roll(struct t_world *world, struct told *told)
{
    t_request(
        world,
        false,
        "POST",
        "/v1/webhook_endpoints/:id/roll_secret",
        told->id,
        told->secret_count == 2 ? "expires_in=0" : "expires_in=600000");
    assert_int_equal(world->status, 200);
    told->secret_count = told->secret_count == 2 ? 1 : 2;
    memcpy(told->secrets[1], told->secrets[0], sizeof(told->secrets[1]));
    (void)snprintf(told->secrets[0], sizeof(told->secrets[0]), "%s", t_text(world, "secret"));
}

/* Each hears of an event, signed with all that it was told. */
static void
check_all(struct t_world *world, const struct all_told *all)
{
    uint32_t before = world->sent_count;
    t_emit(world, false, "customer.created", 1, false);
    t_run_for(world, 1000);
    assert_int_equal(world->sent_count, before + all->count);
    for (uint32_t i = before; i < world->sent_count; i++) {
        const struct t_sent *sent = &world->sent[i];
        char memory[256];
        struct buf signature;
        struct span secrets[2];
        const struct told *told = &all->told[0];
        for (uint32_t j = 1; j < all->count; j++) {
            told = strcmp(all->told[j].host, sent->host) == 0 ? &all->told[j] : told;
        }
        assert_string_equal(told->host, sent->host);
        for (uint32_t j = 0; j < told->secret_count; j++) {
            secrets[j] = span_from_cstr(told->secrets[j]);
        }
        buf_init_fixed(&signature, memory, sizeof(memory) - 1);
        callback_sign(
            &signature,
            secrets,
            told->secret_count,
            sent->at_ms / 1000,
            span_from_cstr(sent->body));
        memory[signature.size] = '\0';
        assert_string_equal(sent->signature, memory);
    }
}

static uint32_t
secret_count(const struct all_told *all)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        count += all->told[i].secret_count;
    }
    return count;
}

/* ---------------------------------------------------------------------------------------- tests */

static void
test_rotation(void **state)
{
    struct t_world *world = *state;
    struct all_told all = {.count = 0};
    make(world, &all);
    make(world, &all);
    roll(world, &all.told[1]);
    /* With one key there is nothing to go over to. */
    assert_int_equal(rotate(world), ERR_EXISTS);
    put_in_front(world);
    restart(world);
    t_run(world);
    struct events_keys_state now = look(world);
    assert_int_equal(now.count, 2);
    assert_int_equal(now.in_use, 1);
    assert_int_equal(now.keys[0].secrets, 0);
    assert_int_equal(now.keys[1].secrets, 3);
    assert_false(now.rotating);
    make(world, &all); /* under the key in use, which is not the first */
    assert_int_equal(rotate(world), ERR_OK);
    now = look(world);
    assert_int_equal(now.in_use, 0);
    assert_int_equal(now.keys[0].secrets, 4);
    assert_int_equal(now.keys[1].secrets, 0);
    assert_int_equal(now.anew, 4);
    assert_false(now.rotating);
    assert_false(now.failing);
    check_all(world, &all);
    assert_int_equal(rotate(world), ERR_EXISTS);
    keep_only(world, 0, 1);
    restart(world);
    t_run(world);
    check_all(world, &all);
    now = look(world);
    assert_int_equal(now.count, 1);
    assert_int_equal(now.keys[0].secrets, 4);
    assert_int_equal(now.unreadable, 0);
}

/* Wherever it dies, the next start goes on. */
static void
test_crash_at_any_step(void **state)
{
    struct t_world *world = *state;
    struct all_told all = {.count = 0};
    uint32_t cut_off = 0;
    for (uint32_t i = 0; i < 4; i++) {
        make(world, &all);
    }
    roll(world, &all.told[0]);
    for (uint32_t steps = 0; steps < 24; steps++) {
        struct rotate request;
        put_in_front(world);
        restart(world);
        t_run(world);
        begin_rotate(world, &request);
        for (uint32_t i = 0; i < steps; i++) {
            (void)os_sim_step(world->sim);
        }
        cut_off += look(world).rotating ? 1 : 0;
        restart(world);
        t_run(world);
        struct events_keys_state now = look(world);
        assert_int_equal(now.keys[now.in_use].secrets, secret_count(&all));
        assert_false(now.rotating);
        check_all(world, &all);
        keep_only(world, now.in_use, 1);
        restart(world);
        check_all(world, &all);
    }
    assert_true(cut_off > 0);
}

static void
test_commits_that_fail(void **state)
{
    struct t_world *world = *state;
    struct all_told all = {.count = 0};
    struct rotate request;
    make(world, &all);
    put_in_front(world);
    restart(world);
    t_run(world);
    world->commit_fails = ERR_DISK_FULL;
    assert_int_equal(rotate(world), ERR_OUTCOME_UNKNOWN);
    assert_int_equal(look(world).in_use, 1);
    /* And of a step: it is tried again. */
    begin_rotate(world, &request);
    while (request.answers == 0) {
        assert_true(os_sim_step(world->sim));
    }
    assert_int_equal(request.request.error, ERR_OK);
    world->commit_fails = ERR_DISK_FULL;
    t_run(world);
    assert_int_equal(world->commit_fails, ERR_OK);
    assert_true(look(world).failing);
    assert_true(look(world).rotating);
    check_all(world, &all);
    t_run_for(world, 11000);
    assert_false(look(world).failing);
    assert_false(look(world).rotating);
    assert_int_equal(look(world).keys[0].secrets, 1);
    check_all(world, &all);
}

/* The key of one secret is taken out of the file before it may go. */
static void
test_a_key_that_went_too_early(void **state)
{
    struct t_world *world = *state;
    struct all_told all = {.count = 0};
    struct rotate request;
    struct file file;
    make(world, &all);
    put_in_front(world);
    restart(world);
    t_run(world);
    read_file(world, &file);
    begin_rotate(world, &request);
    while (request.answers == 0) {
        assert_true(os_sim_step(world->sim));
    }
    keep_only(world, 0, 1);
    restart(world);
    t_run(world);
    assert_int_equal(look(world).unreadable, 1);
    assert_false(look(world).rotating);
    t_emit(world, false, "customer.created", 1, false);
    t_run_for(world, 1000);
    assert_int_equal(world->sent_count, 0);
    write_file(world, &file); /* it is back: nothing was lost */
    restart(world);
    t_run(world);
    assert_int_equal(look(world).unreadable, 0);
    assert_int_equal(look(world).keys[0].secrets, 1);
    assert_int_equal(t_delivered_to(world, "h0.test"), 1);
    check_all(world, &all);
}

/* Random lives: operators who follow what the state says lose nothing. */
static void
live(struct t_world *world, uint64_t seed)
{
    struct os_prng prng;
    struct all_told all = {.count = 0};
    os_prng_seed(&prng, seed);
    for (uint32_t step = 0; step < 60; step++) {
        struct events_keys_state now = look(world);
        struct file file;
        struct rotate request;
        read_file(world, &file);
        switch (os_prng_below(&prng, 7)) {
        case 0:
            if (all.count < ENDPOINTS_MAX) {
                make(world, &all);
            }
            break;
        case 1:
            if (all.count > 0) {
                roll(world, &all.told[os_prng_below(&prng, all.count)]);
            }
            break;
        case 2:
            if (file.count < KEYS_MAX) {
                put_in_front(world);
                restart(world);
            }
            break;
        case 3:
            (void)rotate(world);
            break;
        case 4:
            begin_rotate(world, &request);
            for (uint64_t i = os_prng_below(&prng, 30); i > 0; i--) {
                (void)os_sim_step(world->sim);
            }
            restart(world);
            break;
        case 5:
            if (!now.rotating && now.in_use + 1 < now.count && now.count == file.count &&
                now.keys[now.count - 1].secrets == 0) {
                keep_only(world, 0, now.count - 1);
                restart(world);
            }
            break;
        default:
            t_run_for(world, os_prng_below(&prng, 61000));
            break;
        }
        check_all(world, &all);
    }
    assert_int_equal(look(world).unreadable, 0);
}

static void
test_random_lives(void **state)
{
    const char *seed = getenv("TEST_SEED");
    live(*state, seed == NULL ? 1 : strtoull(seed, NULL, 10));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_rotation),
        TEST(test_crash_at_any_step),
        TEST(test_commits_that_fail),
        TEST(test_a_key_that_went_too_early),
        TEST(test_random_lives),
    };
    return cmocka_run_group_tests_name("events keys", tests, NULL, NULL);
}
