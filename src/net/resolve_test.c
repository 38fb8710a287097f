/* Looking names up, and work off the loop's thread. */
#include "testing.h"

#include "base/assert.h"
#include "base/list.h"
#include "net/job.h"
#include "net/resolve.h"

#include <string.h>

static struct net_loop *loop;

struct asked {
    struct os_task task;
    const char *host;
    bool forget;
    struct net_lookup *lookup;
    struct net_resolution resolution;
    bool came;
    struct net_latch *latch;
};

static void
on_resolved(void *context, const struct net_resolution *resolution)
{
    struct asked *asked = context;
    assert_true(net_loop_is_current(loop));
    asked->resolution = *resolution;
    asked->came = true;
    net_latch_open(asked->latch);
}

static void
ask(struct os_task *task)
{
    struct asked *asked = CONTAINER_OF(task, struct asked, task);
    assert_int_equal(
        net_resolve(loop, asked->host, T_WAIT_MS, on_resolved, asked, &asked->lookup), ERR_OK);
    assert_false(asked->came); /* later, never from inside */
    if (asked->forget) {
        net_resolve_forget(asked->lookup);
        net_latch_open(asked->latch);
    }
}

static void
resolve(struct asked *asked, const char *host, bool forget)
{
    *asked = (struct asked){.task = {.run = ask}, .host = host, .forget = forget};
    assert_int_equal(net_latch_create(&asked->latch), ERR_OK);
    os_post(net_loop_executor(loop), &asked->task);
    net_latch_wait(asked->latch);
    net_latch_destroy(&asked->latch);
}

static int
setup(void **state)
{
    (void)state;
    assert_int_equal(net_loop_create("t-resolve", &loop), ERR_OK);
    assert_int_equal(net_loop_start(loop), ERR_OK);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    net_loop_stop(loop);
    net_loop_destroy(&loop);
    return 0;
}

static void
test_resolve(void **state)
{
    (void)state;
    static struct asked asked;
    resolve(&asked, "192.0.2.7", false);
    assert_int_equal(asked.resolution.result, ERR_OK);
    assert_int_equal(asked.resolution.count, 1);
    assert_string_equal(asked.resolution.addresses[0], "192.0.2.7");
    resolve(&asked, "2001:db8::1", false);
    assert_int_equal(asked.resolution.result, ERR_OK);
    assert_string_equal(asked.resolution.addresses[0], "2001:db8::1");
    resolve(&asked, "localhost", false);
    assert_int_equal(asked.resolution.result, ERR_OK);
    for (size_t i = 1; i < asked.resolution.count; i++) { /* sorted, each once */
        assert_true(strcmp(asked.resolution.addresses[i - 1], asked.resolution.addresses[i]) < 0);
    }
    resolve(&asked, "no-such-host.invalid", false);
    assert_int_not_equal(asked.resolution.result, ERR_OK);
    assert_int_equal(asked.resolution.count, 0);
    /* Nobody is told of what was forgotten. */
    resolve(&asked, "localhost", true);
    t_sleep_ms(50);
    assert_false(asked.came);
}

struct counted {
    struct net_job job;
    struct os_task task;
    struct net_latch *latch;
    int ran;
};

static void
on_run(struct net_job *job)
{
    struct counted *counted = CONTAINER_OF(job, struct counted, job);
    ASSERT(!net_loop_is_current(loop));
    t_sleep_ms(20);
    counted->ran++;
}

static void
on_done(struct net_job *job)
{
    struct counted *counted = CONTAINER_OF(job, struct counted, job);
    ASSERT(net_loop_is_current(loop));
    counted->ran++;
    net_latch_open(counted->latch);
}

static void
start(struct os_task *task)
{
    struct counted *counted = CONTAINER_OF(task, struct counted, task);
    assert_int_equal(net_job_start(loop, &counted->job), ERR_OK);
}

static void
test_job(void **state)
{
    (void)state;
    struct counted counted = {.job = {.run = on_run, .done = on_done}, .task = {.run = start}};
    assert_int_equal(net_latch_create(&counted.latch), ERR_OK);
    os_post(net_loop_executor(loop), &counted.task);
    net_latch_wait(counted.latch);
    assert_int_equal(counted.ran, 2);
    net_latch_destroy(&counted.latch);
    net_latch_destroy(&counted.latch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_resolve, setup, teardown),
        cmocka_unit_test_setup_teardown(test_job, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
